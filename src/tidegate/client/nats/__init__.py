"""The push API over NATS: what of it goes to which subjects, without I/O, and its carriers."""

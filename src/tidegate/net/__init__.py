"""Sockets: addresses, listeners, connections, outboxes, TLS, timers."""

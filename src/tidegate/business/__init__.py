"""The BusinessWorker: a process that runs the user's code for clients that gateways hold."""

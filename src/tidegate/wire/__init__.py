"""The internal protocol between Register, gateways, workers and push clients, without I/O.

GatewayWorker's, byte for byte, with extensions towards peers that are known to be Tidegate.
"""

"""NATS as the way from one member of a cluster to the others: a client of our own, and what the cluster keeps there.

`protocol` and what it needs have no I/O; `client` carries it on asyncio, `blocking` in threads.
"""

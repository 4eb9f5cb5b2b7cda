"""Memory of an idle WebSocket connection: the slope between 5,000 and 10,000 that have each had one message.

Bytes of resident memory a connection, as `tidegate status --json` tells them; what the kernel holds for a socket is
not in it. Of a worker plain, and with compression negotiated, where the message is compressed both ways; of a gateway
plain, and with a uid, three groups and a small session. The reference is a bare uvloop server, counted likewise. Each
run starts new processes.
"""

from __future__ import annotations

import time

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.processes import Helper, Tidegate, bare, load

__all__ = ["RUNS", "run"]

RUNS = 3
STEP = 5000
SETTLE_SECONDS = 1.5
"""More than a beat of what runs once a second."""


def run(runs: int) -> list[Row]:
    """Measure."""
    plain = Row("an idle connection", "bytes", "bare uvloop")
    compressed = Row("an idle connection with compression", "bytes", "bare uvloop")
    gateway = Row("an idle client of a gateway", "bytes", "bare uvloop")
    known = Row("the same with a uid, three groups and a session", "bytes", "bare uvloop")
    for _ in range(runs):
        with bare("echo") as server:
            reference = slope(server, "plain")
        with Tidegate("plain") as app:
            plain.add(slope(app, "websocket"), reference)
        with Tidegate("compressed") as app:
            compressed.add(slope(app, "deflate"), reference)
        with Cluster("echo") as cluster:
            gateway.add(slope(cluster, "websocket"), reference)
        with Cluster("known") as cluster:
            known.add(slope(cluster, "websocket"), reference)
    return [plain, compressed, gateway, known]


def slope(server: Tidegate | Cluster | Helper, kind: str) -> float:
    """Bytes a connection."""
    with load() as clients:
        before = memory_with_more(server, clients, kind, "first")
        after = memory_with_more(server, clients, kind, "second")
    return (after - before) / STEP


def memory_with_more(server: Tidegate | Cluster | Helper, clients: Helper, kind: str, group: str) -> int:
    """Connect some, have a message from each come back, and look at the memory once all is quiet."""
    clients.ask("connect", group, kind, server.port, STEP)
    clients.ask("exchange", group)
    time.sleep(SETTLE_SECONDS)
    return int(server.ask("memory")) if isinstance(server, Helper) else server.memory

"""Memory of an idle WebSocket client: the slope between 5,000 and 10,000 that have each had one message.

Resident bytes a client; what the kernel holds for a socket is not in it. Of a gateway: plain, with compression
negotiated (the message is compressed both ways), and with a uid, three groups and a small session; and of the worker
that serves these clients. The reference is a bare uvloop server, counted likewise. Each run starts new processes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.processes import Server, load, memory_of

__all__ = ["RUNS", "run"]

RUNS = 2
STEP = 5000
SETTLE_SECONDS = 1.2
"""More than a beat of what runs once a second."""
CASES = (
    ("an idle client", "echo", "websocket"),
    ("an idle client with compression", "compressed", "deflate"),
    ("an idle client with a uid, three groups and a session", "known", "websocket"),
)


def run(runs: int, step: int = STEP) -> list[Row]:
    """Measure."""
    of_gateway = {app: Row(f"{label}: the gateway", "bytes", "bare uvloop") for label, app, _ in CASES}
    of_worker = {app: Row(f"{label}: the worker", "bytes", "bare uvloop") for label, app, _ in CASES}
    for _ in range(runs):
        with Server(sys.executable, "-m", "benchmarks.bare", "echo") as server:
            (bare,) = slopes(server.port, "echoed", step, lambda: (memory_of(server.pids),))
        for _, app, kind in CASES:
            with Cluster(app) as cluster:
                gateway, worker = slopes(cluster.port, kind, step, lambda: memories(cluster))
            of_gateway[app].add(gateway, bare)
            of_worker[app].add(worker, bare)
    return [row for _, app, _ in CASES for row in (of_gateway[app], of_worker[app])]


def memories(cluster: Cluster) -> tuple[int, int]:
    """Bytes of both."""
    return cluster.memory("Gateway"), cluster.memory("BusinessWorker")


def slopes(port: int, kind: str, step: int, memory: Callable[[], tuple[int, ...]]) -> list[float]:
    """Bytes a client, of each process."""
    with load(compresses=kind == "deflate") as clients:
        found = []
        for group in ("first", "second"):
            clients.ask("connect", group, kind, port, step, "/")
            clients.ask("exchange", group)
            time.sleep(SETTLE_SECONDS)
            found.append(memory())
    return [(after - before) / step for before, after in zip(*found, strict=True)]

"""WebSocket handshakes by the CPU time of one process.

5,000 connections are opened, 200 at a time, from several addresses of 127.0.0.0/8 so that no ports run out; each
sends its request and reads the answer. Accepting is included, closing is not. The reference is a bare uvloop server
that accepts as many and answers the same request by sending it back: the same system calls, and nothing understood.
"""

from __future__ import annotations

from benchmarks.figures import Row
from benchmarks.processes import Helper, Tidegate, bare, load, wait_for_members

__all__ = ["RUNS", "run"]

RUNS = 5
CONNECTIONS = 5000


def run(runs: int) -> list[Row]:
    """Measure."""
    row = Row("accept and shake hands", "connections per CPU second", "bare uvloop")
    with Tidegate("plain") as server, bare("echo") as reference, load() as clients:
        for number in range(-1, runs):
            measured = rate(server, clients, "websocket"), rate(reference, clients, "echoed")
            if number >= 0:  # the first makes room in memory, and is not counted
                row.add(*measured)
    return [row]


def rate(server: Tidegate | Helper, clients: Helper, kind: str) -> float:
    """Open connections, and close them again."""
    before = server.ask("cpu")
    clients.ask("connect", kind, kind, server.port, CONNECTIONS)
    cpu = server.ask("cpu") - before
    wait_for_members(server, CONNECTIONS)
    clients.ask("close", kind)
    wait_for_members(server, 0)
    return float(CONNECTIONS / cpu)

"""WebSocket handshakes through a gateway, with and without `on_websocket_connect` in the worker.

5,000 connections are opened, up to 200 at a time, from several addresses of 127.0.0.0/8 so that no ports run out; each
sends its request and reads the answer. With a handler a connection counts once the client has the greeting that the
handler sent. Accepting is included, closing is not. The figures are connections a second by the clock and by the CPU
time of gateway and worker, which share a core, and then by that of each of them, as if it had a core for itself. The
reference is a server that accepts as many and answers the same request by sending it back: the same system calls, and
nothing understood.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_ECHO, Cost, Measured, Spent, reference_name
from benchmarks.processes import Helper, cpu_of, load, reference

__all__ = ["RUNS", "run"]

RUNS = 3
CONNECTIONS = 5000
QUIET_SECONDS = 0.1
CASES = (
    ("without on_websocket_connect", "echo", "websocket", ("Gateway",)),  # the worker is told of nothing
    ("with on_websocket_connect", "greeting", "greeted", ("Gateway", "BusinessWorker")),
)


def run(runs: int, connections: int = CONNECTIONS) -> list[Row]:
    """Measure."""
    rows = []
    name = reference_name(BARE_ECHO)
    with reference("echo") as bare, load() as clients:
        for label, app, kind, takes_part in CASES:
            by_clock = Row(label, "connections a second", name)
            by_cpu = Row(label, "connections per CPU second", name)
            alone = {kind: Row(label, f"connections per CPU second of the {kind}") for kind in takes_part}
            with Cluster(app) as cluster:
                parts = [cluster.part(kind) for kind in alone]
                for number in range(-1, runs):
                    at_best, *_ = rate([bare], bare.port, clients, "echoed", connections)
                    cost, *costs = rate([cluster, *parts], cluster.port, clients, kind, connections)
                    if number >= 0:  # the first makes room in memory, and is not counted
                        by_clock.add(cost.clock, at_best.clock, cost.load)
                        by_cpu.add(cost.cpu, at_best.cpu)
                        for row, share in zip(alone.values(), costs, strict=True):
                            row.add(share.cpu)
            rows += [by_clock, by_cpu, *alone.values()]
    return rows


def rate(servers: Sequence[Measured], port: int, clients: Helper, kind: str, connections: int) -> list[Cost]:
    """Open connections, and close them again; gives what that cost each server, the first of which is all of it."""
    spent = [Spent(server, clients) for server in servers]
    done = clients.ask("connect", kind, kind, port, connections, "/")
    costs = [each.rates(connections, done["seconds"]) for each in spent]
    clients.ask("close", kind)
    become_quiet(servers[0])
    return costs


def become_quiet(server: Measured) -> None:
    """Wait until the server has done with the connections that were closed."""
    before, after = -1.0, cpu_of(server.pids)
    while after - before > QUIET_SECONDS / 10:
        time.sleep(QUIET_SECONDS)
        before, after = after, cpu_of(server.pids)

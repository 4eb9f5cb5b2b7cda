"""WebSocket handshakes through a gateway, with and without `on_websocket_connect` in the worker.

5,000 connections are opened, up to 200 at a time, from several addresses of 127.0.0.0/8 so that no ports run out; each
sends its request and reads the answer. With a handler a connection counts once the client has the greeting that the
handler sent. Accepting is included, closing is not. The figures are connections a second by the clock and by the CPU
time of gateway and worker, which share a core. The reference is a server that accepts as many and answers the same
request by sending it back: the same system calls, and nothing understood.
"""

from __future__ import annotations

import time

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_ECHO, Cost, Measured, Spent, reference_name
from benchmarks.processes import Helper, cpu_of, load, reference

__all__ = ["RUNS", "run"]

RUNS = 5
CONNECTIONS = 5000
QUIET_SECONDS = 0.1
CASES = (("without on_websocket_connect", "echo", "websocket"), ("with on_websocket_connect", "greeting", "greeted"))


def run(runs: int, connections: int = CONNECTIONS) -> list[Row]:
    """Measure."""
    rows = []
    name = reference_name(BARE_ECHO)
    with reference("echo") as bare, load() as clients:
        for label, app, kind in CASES:
            by_clock = Row(label, "connections a second", name)
            by_cpu = Row(label, "connections per CPU second", name)
            with Cluster(app) as cluster:
                for number in range(-1, runs):
                    at_best = rate(bare, bare.port, clients, "echoed", connections)
                    cost = rate(cluster, cluster.port, clients, kind, connections)
                    if number >= 0:  # the first makes room in memory, and is not counted
                        by_clock.add(cost.clock, at_best.clock, cost.load)
                        by_cpu.add(cost.cpu, at_best.cpu)
            rows += [by_clock, by_cpu]
    return rows


def rate(server: Measured, port: int, clients: Helper, kind: str, connections: int) -> Cost:
    """Open connections, and close them again."""
    spent = Spent(server, clients)
    done = clients.ask("connect", kind, kind, port, connections, "/")
    cost = spent.rates(connections, done["seconds"])
    clients.ask("close", kind)
    become_quiet(server)
    return cost


def become_quiet(server: Measured) -> None:
    """Wait until the server has done with the connections that were closed."""
    before, after = -1.0, cpu_of(server.pids)
    while after - before > QUIET_SECONDS / 10:
        time.sleep(QUIET_SECONDS)
        before, after = after, cpu_of(server.pids)

"""Messages of 128 bytes through a gateway and a BusinessWorker that sends them back.

50 clients with one message in flight each, and 500 with 8; with a `def` and an `async def` handler, and with one that
counts in the client's session. Gateway and worker share a core. The figures are messages a second by the clock, and by
the CPU time of both; the reference is a bare uvloop protocol that writes back the bytes that it gets, in one process
and without frames, under the same load.
"""

from __future__ import annotations

from benchmarks.cluster import Cluster
from benchmarks.echo import LOADS, MILLISECONDS, WARM_UP_MILLISECONDS, Rate, rate
from benchmarks.figures import Row
from benchmarks.processes import Helper, bare, load

__all__ = ["RUNS", "run"]

RUNS = 3
HANDLERS = (("def", "echo"), ("async def", "echo_async"), ("with a session", "echo_session"))


def run(runs: int) -> list[Row]:
    """Measure."""
    rows = []
    with bare("echo") as reference, load() as clients:
        for name, app in HANDLERS:
            with Cluster(app) as cluster:
                for count, in_flight in LOADS:
                    clients.ask("connect", "cluster", "websocket", cluster.port, count)
                    clients.ask("connect", "bare", "plain", reference.port, count)
                    clients.ask("exchange", "cluster")
                    under = f"{name}, {count} clients, {in_flight} in flight"
                    by_clock = Row(under, "messages a second", "bare uvloop")
                    by_cpu = Row(under, "messages per CPU second", "bare uvloop")
                    for _ in range(runs):
                        measured = rate_of(cluster, clients, in_flight)
                        bare_rate = rate(reference, clients, "bare", in_flight)
                        by_clock.add(measured.clock, bare_rate.clock)
                        by_cpu.add(measured.cpu, bare_rate.cpu)
                    rows += [by_clock, by_cpu]
                    clients.ask("close", "cluster")
                    clients.ask("close", "bare")
    return rows


def rate_of(cluster: Cluster, clients: Helper, in_flight: int) -> Rate:
    """Echo for a while."""
    clients.ask("echo", "cluster", in_flight, WARM_UP_MILLISECONDS)
    before = cluster.cpu()
    done = clients.ask("echo", "cluster", in_flight, MILLISECONDS)
    cpu = cluster.cpu() - before
    return Rate(done["messages"] / done["seconds"], done["messages"] / cpu)

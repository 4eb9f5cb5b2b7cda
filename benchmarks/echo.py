"""Messages of 128 bytes through a WebSocket worker that sends them back, with a `def` and an `async def` handler.

50 clients with one message in flight each, and 500 with 8. The figures are messages a second by the clock, and by the
CPU time of the server, which also holds where the load is what limits. The reference is a bare uvloop protocol that
writes back the bytes that it gets, without frames, under the same load.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.figures import Row
from benchmarks.processes import Helper, Tidegate, bare, load

__all__ = ["RUNS", "run"]

RUNS = 3
LOADS = ((50, 1), (500, 8))  # clients, and messages in flight for each
WARM_UP_MILLISECONDS, MILLISECONDS = 200, 1500


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages a second."""

    clock: float
    cpu: float


def run(runs: int) -> list[Row]:
    """Measure."""
    rows = []
    with Tidegate("plain") as plain, Tidegate("awaiting") as awaiting, bare("echo") as reference, load() as clients:
        for count, in_flight in LOADS:
            clients.ask("connect", "def", "websocket", plain.port, count)
            clients.ask("connect", "async", "websocket", awaiting.port, count)
            clients.ask("connect", "bare", "plain", reference.port, count)
            for group in ("def", "async", "bare"):
                clients.ask("exchange", group)  # sees that it is the message that comes back
            under = f"{count} clients, {in_flight} in flight"
            pairs = {
                group: (
                    Row(f"{name}, {under}", "messages a second", "bare uvloop"),
                    Row(f"{name}, {under}", "messages per CPU second", "bare uvloop"),
                )
                for group, name in (("def", "def"), ("async", "async def"))
            }
            for _ in range(runs):
                bare_rate = rate(reference, clients, "bare", in_flight)
                for group, server in (("def", plain), ("async", awaiting)):
                    by_clock, by_cpu = pairs[group]
                    measured = rate(server, clients, group, in_flight)
                    by_clock.add(measured.clock, bare_rate.clock)
                    by_cpu.add(measured.cpu, bare_rate.cpu)
            rows += [row for pair in pairs.values() for row in pair]
            for group in ("def", "async", "bare"):
                clients.ask("close", group)
    return rows


def rate(server: Tidegate | Helper, clients: Helper, group: str, in_flight: int) -> Rate:
    """Echo for a while."""
    clients.ask("echo", group, in_flight, WARM_UP_MILLISECONDS)
    before = server.ask("cpu")
    done = clients.ask("echo", group, in_flight, MILLISECONDS)
    cpu = server.ask("cpu") - before
    return Rate(done["messages"] / done["seconds"], done["messages"] / cpu)

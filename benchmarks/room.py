"""A live room of 5,000: one member speaks at a steady rate, and everybody hears it.

The message goes through gateway and BusinessWorker, which share a core. Rates rise until the time from sending to
hearing passes 150 ms at the 99th percentile, or messages are missing; the figure is the last rate before that. The
reference is what a bare loop of `send` could keep up with, in which each message is written by itself.
"""

from __future__ import annotations

import sys

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.processes import BenchmarkError, Helper, load
from benchmarks.wire import SERVER_FRAME_SIZE

__all__ = ["RUNS", "run"]

RUNS = 1
MEMBERS = 5000
SECONDS = 3
P99_MILLISECONDS = 150
RATES = (50, 100, 200, 400, 800, 1200, 1600, 2000, 2500, 3000, 4000)
TIMES = 20
"""That the reference sends to each member."""


def run(runs: int) -> list[Row]:
    """Measure."""
    row = Row(f"{MEMBERS} members", "messages a second to each", "bare send loop")
    for _ in range(runs):
        with Cluster("room") as cluster, load() as clients:
            clients.ask("connect", "room", "websocket", cluster.port, MEMBERS)
            kept = 0
            for rate in RATES:
                heard = clients.ask("speak", "room", rate, SECONDS)
                print(f"    {rate} a second: p99 {heard['p99']:.0f} ms", file=sys.stderr, flush=True)
                if heard["p99"] > P99_MILLISECONDS:
                    break
                kept = rate
            clients.ask("close", "room")
        if not kept:
            raise BenchmarkError(f"{RATES[0]} messages a second are too many already")
        row.add(kept, bare_rate())
    return [row]


def bare_rate() -> float:
    """Messages a second that a loop of `send` gets to all members."""
    from benchmarks.processes import cores

    with Helper("bare", "send", on=cores.server) as sender, load() as clients:
        port = int(sender.read_line())
        sender.order("accept", MEMBERS)
        clients.ask("connect", "room", "plain", port, MEMBERS)
        sender.result()
        size = SERVER_FRAME_SIZE
        clients.order("receive", "room", size * TIMES, 30)
        cpu = sender.ask("send", size, TIMES)
        clients.result()
        clients.ask("close", "room")
    return TIMES / float(cpu)

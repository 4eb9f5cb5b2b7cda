"""A message to 5,000 members through gateway and worker: the next when all have the last, and bursts of 40.

One member speaks, the worker sends to the group, and all read every byte. For a burst the worker pushes 40 messages,
each by a call of its own. The figures are frames a second, by the clock and by the CPU time of gateway and worker,
which share a core. The reference is a loop of `send` over as many sockets, asked by the same clients.
"""

from __future__ import annotations

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_SEND, fanout_rate, reference_name
from benchmarks.processes import load, reference

__all__ = ["ORDERS", "RUNS", "run"]

RUNS = 3
MEMBERS = 5000
BURST = 40
ORDERS = (("one message at a time", 40, 1), ("bursts of 40 pushes", 4, BURST))


def run(runs: int, members: int = MEMBERS) -> list[Row]:
    """Measure."""
    name = reference_name(BARE_SEND)
    by_clock = {label: Row(label, "frames a second", name, f"fanout {count}") for label, _, count in ORDERS}
    by_cpu = {label: Row(label, "frames per CPU second", name) for label, _, _ in ORDERS}
    with Cluster("room") as cluster, reference("send") as sender, load() as clients:
        clients.ask("connect", "room", "websocket", cluster.port, members, "/room")
        clients.ask("exchange", "room")  # so that all have entered
        clients.ask("connect", "bare", "raw", sender.port, members, "/")
        for number in range(-1, runs):
            for label, times, frames in ORDERS:
                bare = fanout_rate(sender, clients, "bare", members, times, frames)
                cost = fanout_rate(cluster, clients, "room", members, times, frames)
                if number < 0:
                    continue  # a first time for everything, not counted
                by_clock[label].add(cost.clock, bare.clock, cost.load)
                by_cpu[label].add(cost.cpu, bare.cpu)
    return [row for label, _, _ in ORDERS for row in (by_clock[label], by_cpu[label])]

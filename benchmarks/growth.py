"""One push to one client, one uid and one group of ten, while the cluster holds 100, 1,000 and 10,000 of each.

Every client has a uid and a group of its own, and ten have a group together. The worker pushes one message a turn of
its loop, to 100 clients or uids or ten groups in turn that are as far apart as can be, so that no table has just one
place that is warm. The figure is the CPU time of gateway and worker for a push; the reference is that with 100, in the
same run.
"""

from __future__ import annotations

import contextlib

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import Speaker
from benchmarks.processes import Helper, cpu_of, load

__all__ = ["RUNS", "run"]

RUNS = 2
SIZES = (100, 1000, 10_000)
TARGETS, GROUP = 100, 10
ROUNDS = 80
"""Messages that each target gets; as many for a group, of which there are a tenth."""
SECONDS = 60
KINDS = {"client": "one client", "uid": "one uid", "group": "one group of ten"}


def run(runs: int, sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> list[Row]:
    """Measure."""
    rows = {
        (kind, size): Row(f"{label}, of {size:,}", "µs of CPU time a push", f"of {sizes[0]:,}")
        for kind, label in KINDS.items()
        for size in sizes
    }
    with contextlib.ExitStack() as stack:
        clients = stack.enter_context(load())
        clusters = {size: stack.enter_context(Cluster("pushing")) for size in sizes}
        speakers = {}
        for size, cluster in clusters.items():
            clients.ask("connect", f"of{size}", "websocket", cluster.port, size, "/")
            clients.ask("exchange", f"of{size}")
            speakers[size] = stack.enter_context(Speaker(cluster.port))
        for number in range(-1, runs):
            for kind in KINDS:
                found = {size: cost(clusters[size], clients, speakers[size], kind, size, rounds) for size in sizes}
                for size in sizes if number >= 0 else ():  # a first time for everything, not counted
                    rows[kind, size].add(found[size], found[sizes[0]])
    return list(rows.values())


def cost(cluster: Cluster, clients: Helper, speaker: Speaker, kind: str, size: int, rounds: int) -> float:
    """Microseconds of CPU time a push."""
    groups = TARGETS // GROUP
    width, stride = (GROUP, size // groups) if kind == "group" else (1, size // TARGETS)
    rounds *= GROUP if kind == "group" else 1  # as many pushes for all
    pushes = rounds * (groups if kind == "group" else TARGETS)
    before = cpu_of(cluster.pids)
    clients.order("receive", f"of{size}", rounds, SECONDS, stride, width)
    speaker.say("push", kind, pushes, size, 1)
    speaker.wait()
    clients.result()  # fails where a byte is missing, or somebody else got it
    return (cpu_of(cluster.pids) - before) / pushes * 1e6

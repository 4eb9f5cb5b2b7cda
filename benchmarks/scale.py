"""Messages per CPU second with one, two and four gateway processes.

Echo of 500 clients with 8 messages in flight each, and a room of 2,000 in which one message at a time is said, through
gateways and one BusinessWorker, all of which share a core: what counts is the CPU time of all of them together. The
reference is the same with one gateway process, in the same run.
"""

from __future__ import annotations

import contextlib

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import echo_rate, fanout_rate
from benchmarks.processes import load

__all__ = ["RUNS", "run"]

RUNS = 3
GATEWAYS = (1, 2, 4)
CLIENTS, IN_FLIGHT, MILLISECONDS = 500, 8, 1000
MEMBERS, TIMES = 2000, 40
ONE = "one gateway process"


def run(runs: int, members: int = MEMBERS, milliseconds: int = MILLISECONDS) -> list[Row]:
    """Measure."""
    echoes = {n: Row(f"echo, {processes(n)}", "messages per CPU second", ONE) for n in GATEWAYS}
    rooms = {n: Row(f"a room of {members}, {processes(n)}", "frames per CPU second", ONE) for n in GATEWAYS}
    with contextlib.ExitStack() as stack:
        clients = stack.enter_context(load())
        clusters = {n: stack.enter_context(Cluster("room", n)) for n in GATEWAYS}
        for n, cluster in clusters.items():
            for group, path, count in ((f"echo{n}", "/", CLIENTS), (f"room{n}", "/room", members)):
                clients.ask("connect", group, "websocket", cluster.port, count, path)
                clients.ask("exchange", group)
        for number in range(-1, runs):
            echo = {n: echo_rate(clusters[n], clients, f"echo{n}", IN_FLIGHT, milliseconds) for n in GATEWAYS}
            room = {n: fanout_rate(clusters[n], clients, f"room{n}", members, TIMES, 1) for n in GATEWAYS}
            if number < 0:
                continue  # a first time for everything, not counted
            for n in GATEWAYS:
                echoes[n].add(echo[n].cpu, echo[1].cpu, echo[n].load)
                rooms[n].add(room[n].cpu, room[1].cpu, room[n].load)
    return [*echoes.values(), *rooms.values()]


def processes(count: int) -> str:
    return f"{count} gateway process{'es' if count > 1 else ''}"

"""Pushes to a group with a member in one gateway process, through 4, 8, 16 and 32 of them, on NATS and on a Register.

Four gateways are real processes, the others simulated: gateways without clients that share one process. A
GatewayClient, and then a worker, pushes to the group until the member has read and checked all messages: pushes a
second, microseconds of CPU time a push, the caller's own and everybody else's (gateways, NATS server), and packets
that the gateways received. Then nobody does anything, and what remains is what members do to be known: on NATS each
gateway renews its entry every second, and says so to whoever listens. The reference is the same by a Register, in a
full mesh. Gateways, worker and NATS server share a core, so that a rate by the clock shrinks with whatever is done in
the cluster, while on machines of their own it would not.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import NamedTuple

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import Speaker
from benchmarks.nats_server import NatsServer
from benchmarks.processes import Helper, cores, cpu_of, load, wait_until

__all__ = ["RUNS", "run"]

RUNS = 2
REAL = 4
SIZES = (4, 8, 16, 32)
PUSHES = 4000
TURN = 40
GROUP = "ten-0"
"""Of the app `pushing`: that of its first ten clients, of which there is one."""
IDLE_SECONDS = 3.0
WATCHERS = 32
SECONDS = 60
MESH = "by Register, a full mesh"
CALLERS = {"client": "GatewayClient", "worker": "a worker"}


class Found(NamedTuple):
    """What pushes cost.

    Attributes:
        rate: of them, in a second.
        own: microseconds of the caller's CPU time for each.
        others: of everybody else's.
        packets: for each, that the gateways received: of the member's process, of the other real ones, and of all.
    """

    rate: float
    own: float
    others: float
    packets: tuple[float, float, float]


class Rest(NamedTuple):
    """Microseconds of CPU time a second in which nobody does anything: a worker's, the NATS server's, the simulated
    gateways' and watchers'."""

    worker: float
    server: float
    simulated: float


class Engine:
    """A cluster, its clients and what pushes to it. Ends with the stack.

    Args:
        server: of NATS, if the cluster is there.
    """

    def __init__(self, stack: contextlib.ExitStack, server: NatsServer | None) -> None:
        self.server = server
        url = server.url if server is not None else None
        self.cluster = stack.enter_context(Cluster("pushing", REAL, url, TIDEGATE_PING_INTERVAL="0"))
        module = [sys.executable, "-m"]
        simulated = Helper(*module, "benchmarks.simulated", self.cluster.address, on=cores.server)
        self.simulated = stack.enter_context(simulated)
        self._pushes = stack.enter_context(Helper(*module, "benchmarks.pushing", on=cores.load))
        self._clients = stack.enter_context(load())
        self._clients.ask("connect", "member", "websocket", self.cluster.port, 1, "/")
        self._clients.ask("exchange", "member")  # by which it comes into the group

    def grow(self, gateways: int) -> None:
        """Have so many in all, of whom all know."""
        self.simulated.ask("gateways", gateways - REAL)
        wait_until(lambda: self._linked() == gateways, f"a worker with links to {gateways} gateways")

    def _linked(self) -> int:
        return sum(row["extra"]["gateways"] for row in self.cluster.rows() if row["kind"] == "BusinessWorker")

    def push(self, caller: str, gateways: int, pushes: int) -> Found:
        """Have so many pushed, and wait for all that comes of them."""
        packets, cpu = self._packets(), self._cpu()
        self._clients.order("receive", "member", pushes, SECONDS, 1, 1)
        own = 0.0
        with contextlib.ExitStack() as stack:
            if caller == "client":
                done = self._pushes.ask("group", self.cluster.address, GROUP, pushes)
                began, own = done["start"], done["cpu"]
            else:
                began = stack.enter_context(Speaker(self.cluster.port)).say("tell", "group", pushes, 1, TURN)
            arrived = self._clients.result()["end"]
        expected = pushes * (1 if self.server is not None else gateways)
        wait_until(lambda: sum(self._packets()) - sum(packets) >= expected, "as many packets as there have to be")
        worker, others = (after - before for after, before in zip(self._cpu(), cpu, strict=True))
        if caller == "client":
            others += worker
        else:
            own = worker
        *each, beyond = (after - before for after, before in zip(self._packets(), packets, strict=True))
        each.sort(reverse=True)
        by_process = each[0] / pushes, max(each[1:]) / pushes, (sum(each) + beyond) / pushes
        return Found(pushes / (arrived - began), own / pushes * 1e6, others / pushes * 1e6, by_process)

    def _packets(self) -> list[int]:
        """Of pushes that each real gateway has received, and of all others."""
        which = "inner_packets" if self.server is None else "nats_packets"
        rows = self.cluster.rows()
        found = [row["extra"][which] for row in rows if row["kind"] == "Gateway"]
        return [*found, self.simulated.ask("packets")]

    def _cpu(self) -> tuple[float, float]:
        """Seconds of the worker's, and of everybody else's."""
        return self.cluster.cpu("BusinessWorker"), self.cluster.cpu("Gateway") + self._aside()

    def _aside(self) -> float:
        return cpu_of(self.simulated.pids) + (cpu_of(self.server.pids) if self.server is not None else 0)

    def spent(self) -> tuple[float, float, float]:
        """Seconds of CPU time that those of `Rest` have had."""
        server = cpu_of(self.server.pids) if self.server is not None else 0.0
        return self.cluster.cpu("BusinessWorker"), server, cpu_of(self.simulated.pids)


def run(
    runs: int,
    sizes: tuple[int, ...] = SIZES,
    pushes: int = PUSHES,
    idle: float = IDLE_SECONDS,
    watchers: int = WATCHERS,
) -> list[Row]:
    """Measure."""
    rows: dict[tuple[str, str], Row] = {}

    def add(label: str, unit: str, value: float, reference: float | None = None) -> None:
        row = rows.setdefault((label, unit), Row(label, unit, MESH if reference is not None else "", server="on NATS"))
        row.add(value, reference)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(NatsServer())
        nats, mesh = Engine(stack, server), Engine(stack, None)
        for gateways in sizes:
            for engine in (nats, mesh):
                engine.grow(gateways)
                for caller in CALLERS:
                    engine.push(caller, gateways, pushes)  # a first time for everything, not counted
            where = f"{gateways} gateways"
            for _ in range(runs):
                for caller, label in CALLERS.items():
                    ours, theirs = (engine.push(caller, gateways, pushes) for engine in (nats, mesh))
                    add(f"{label}, {where}", "pushes a second", ours.rate, theirs.rate)
                    add(f"{label}, {where}", "µs of CPU time a push, its own", ours.own, theirs.own)
                    add(f"{label}, {where}", "µs of CPU time a push, all others'", ours.others, theirs.others)
                    add(f"{label}, {where}", "packets a push, to all gateways", ours.packets[2], theirs.packets[2])
                    if gateways == REAL:
                        add(f"{label}, the member's process", "packets a push", ours.packets[0], theirs.packets[0])
                        add(f"{label}, each other process", "packets a push", ours.packets[1], theirs.packets[1])
                resting, unit = at_rest(nats, idle), "µs of CPU time a second"
                add(f"a worker at rest, {where}", unit, resting.worker, at_rest(mesh, idle).worker)
                add(f"the NATS server at rest, {where}", unit, resting.server)
        alone = [at_rest(nats, idle) for _ in range(runs)]
        nats.simulated.ask("watchers", watchers)
        for before in alone:
            watched = at_rest(nats, idle)
            told = watchers * sizes[-1]  # each of each gateway, in a second
            unit = "µs of CPU time a second, by gateway and listener"
            add("who listens to gateways", unit, (watched.simulated - before.simulated) / told)
            add("the NATS server for who listens", unit, (watched.server - before.server) / told)
    return list(rows.values())


def at_rest(engine: Engine, seconds: float) -> Rest:
    """What it costs that all know of each other."""
    began, before = time.monotonic(), engine.spent()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return Rest(*((after - earlier) / passed * 1e6 for after, earlier in zip(engine.spent(), before, strict=True)))

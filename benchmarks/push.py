"""`send_to_uid` by a GatewayClient, an AsyncGatewayClient and in a worker, to one gateway and to four.

One caller pushes 10,000 messages to 50 uids in turn, each of which a client has that reads and checks them: calls a
second from the first call until the last message has arrived, and microseconds a call. Then a call every 2 ms, as a web
request makes it, without the one before keeping everything warm: the median. A worker pushes 40 messages a turn of its
loop; there a call's cost is the worker's CPU time by the number of calls, the writing among it. The reference is a bare
`send` of as many bytes from Python to each gateway's like, which reads and forgets them.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import Speaker
from benchmarks.processes import Helper, Server, cores, load, reference

__all__ = ["RUNS", "run"]

RUNS = 2
UIDS = 50
CALLS = 10_000
PACED, PAUSE_MICROSECONDS = 200, 2000
TURN = 40
SECONDS = 30
GATEWAYS = (1, 4)
CALLERS = {"sync": "GatewayClient", "async": "AsyncGatewayClient"}
BARE = "bare send"


def run(runs: int, calls: int = CALLS) -> list[Row]:
    """Measure."""
    rows: list[Row] = []
    pusher = [sys.executable, "-m", "benchmarks.pushing"]
    for gateways in GATEWAYS:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(Cluster("pushing", gateways))
            discarding = stack.enter_context(reference("echo", "discard"))
            clients = stack.enter_context(load())
            pushes = stack.enter_context(Helper(*pusher, on=cores.load))
            clients.ask("connect", "uids", "websocket", cluster.port, UIDS, "/")
            clients.ask("exchange", "uids")
            speaker = stack.enter_context(Speaker(cluster.port))
            table = Table("one gateway" if gateways == 1 else f"{gateways} gateways")
            for number in range(-1, runs):
                table.counted = number >= 0  # not the first time for everything
                measure(table, cluster, discarding, clients, pushes, speaker, gateways, calls)
            rows += table.rows.values()
    return rows


class Table:
    """Rows by what they are of."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.rows: dict[tuple[str, str], Row] = {}
        self.counted = False

    def add(self, label: str, unit: str, value: float, bare: float) -> None:
        """Take a run's figure."""
        if self.counted:
            row = self.rows.setdefault((label, unit), Row(f"{label}, {self._where}", unit, BARE))
            row.add(value, bare)


def measure(
    table: Table,
    cluster: Cluster,
    discarding: Server,
    clients: Helper,
    pushes: Helper,
    speaker: Speaker,
    gateways: int,
    calls: int,
) -> None:
    """One run of all."""
    bare = pushes.ask("bare", discarding.port, gateways, calls, 0)
    paced_bare = pushes.ask("bare", discarding.port, gateways, PACED, PAUSE_MICROSECONDS)
    bare_rate, bare_call = calls / bare["seconds"], bare["seconds"] / calls * 1e6
    bare_cpu = bare["cpu"] / calls * 1e6
    for order, label in CALLERS.items():
        arrived, done = pushed(clients, pushes, calls, order, cluster.register, calls, UIDS, 0)
        table.add(label, "calls a second", calls / (arrived - done["start"]), bare_rate)
        table.add(label, "µs a call", done["seconds"] / calls * 1e6, bare_call)
        _, paced = pushed(clients, pushes, PACED, order, cluster.register, PACED, UIDS, PAUSE_MICROSECONDS)
        table.add(f"{label}, a call every 2 ms", "µs a call", paced["median"], paced_bare["median"])
    before = cluster.cpu("BusinessWorker")
    clients.order("receive", "uids", calls // UIDS, SECONDS, 1, 1)
    began = speaker.say("push", "uid", calls, UIDS, TURN)
    speaker.wait()
    arrived = clients.result()["end"]
    table.add("a worker", "calls a second", calls / (arrived - began), bare_rate)
    table.add("a worker", "µs of CPU time a call", (cluster.cpu("BusinessWorker") - before) / calls * 1e6, bare_cpu)


def pushed(clients: Helper, pushes: Helper, calls: int, *order: object) -> tuple[float, dict[str, Any]]:
    """Push, and wait until all has arrived: when that was, and what the caller says."""
    clients.order("receive", "uids", calls // UIDS, SECONDS, 1, 1)
    done = pushes.ask(*order)
    return float(clients.result()["end"]), done

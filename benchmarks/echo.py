"""Messages of 128 bytes through a gateway and a BusinessWorker that sends them back.

50 and 500 clients with 1 and 8 messages in flight each; `def` and `async def` handlers, with and without a session in
which they count; and a lone `Worker`, without a cluster. All processes share a core. The figures are messages a second
by the clock, and by the CPU time of all. The reference is an echo server without any feature, in one process and
without frames, under the same load: it sends back what came in a read with one write, of however many messages. Where
several are in flight there is another beside it, which answers each message by itself.
"""

from __future__ import annotations

import contextlib

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_ECHO, Cost, Measured, echo_rate, reference_name
from benchmarks.processes import Helper, load, reference
from benchmarks.wire import client_frame, message

__all__ = ["LOADS", "RUNS", "run"]

RUNS = 2
LOADS = ((50, 1), (50, 8), (500, 1), (500, 8))  # clients, and messages in flight for each
MILLISECONDS = 1000
HANDLERS = (
    ("def", "echo"),
    ("async def", "echo_async"),
    ("def with a session", "echo_session"),
    ("async def with a session", "echo_async_session"),
    ("a lone Worker", "lone"),
)
CHARTED = "echo"
APART = "echo of each message"
REQUEST_SIZE = len(client_frame(message("echo", 0)))


def run(runs: int, loads: tuple[tuple[int, int], ...] = LOADS, milliseconds: int = MILLISECONDS) -> list[Row]:
    """Measure."""
    rows = []
    with contextlib.ExitStack() as stack:
        bare = stack.enter_context(reference("echo"))
        apart = stack.enter_context(reference("echo", str(REQUEST_SIZE)))
        clients = stack.enter_context(load())
        servers = {app: stack.enter_context(Cluster(app)) for _, app in HANDLERS}
        for count, in_flight in loads:
            clients.ask("connect", "bare", "echoed", bare.port, count, "/")
            for app, server in servers.items():
                clients.ask("connect", app, "websocket", server.port, count, "/")
                clients.ask("exchange", app)
            rows += measure(runs, servers, bare, clients, (count, in_flight), milliseconds)
            if in_flight > 1:
                clients.ask("connect", "apart", "echoed", apart.port, count, "/")
                rows += measure_apart(runs, servers[CHARTED], apart, clients, (count, in_flight), milliseconds)
                clients.ask("close", "apart")
            for group in ("bare", *servers):
                clients.ask("close", group)
    return rows


def measure_apart(
    runs: int, server: Cluster, apart: Measured, clients: Helper, under: tuple[int, int], milliseconds: int
) -> list[Row]:
    """One load, beside a reference that answers each message by itself."""
    count, in_flight = under
    label, name = f"def, {count} clients, {in_flight} in flight", reference_name(APART)
    rows = [Row(label, "messages a second", name), Row(label, "messages per CPU second", name)]
    for _ in range(runs):
        at_best = echo_rate(apart, clients, "apart", in_flight, milliseconds)
        cost = echo_rate(server, clients, CHARTED, in_flight, milliseconds)
        rows[0].add(cost.clock, at_best.clock, cost.load)
        rows[1].add(cost.cpu, at_best.cpu)
    return rows


def measure(
    runs: int,
    servers: dict[str, Cluster],
    bare: Measured,
    clients: Helper,
    under: tuple[int, int],
    milliseconds: int,
) -> list[Row]:
    """One load."""
    count, in_flight = under
    name, where = reference_name(BARE_ECHO), f"{count} clients, {in_flight} in flight"
    rows = []
    for label, app in HANDLERS:
        chart = f"echo {count} {in_flight}" if app == CHARTED else ""
        rows.append(Row(f"{label}, {where}", "messages a second", name, chart))
        rows.append(Row(f"{label}, {where}", "messages per CPU second", name))
    for _ in range(runs):
        at_best: Cost = echo_rate(bare, clients, "bare", in_flight, milliseconds)
        for number, (_, app) in enumerate(HANDLERS):
            cost = echo_rate(servers[app], clients, app, in_flight, milliseconds)
            rows[2 * number].add(cost.clock, at_best.clock, cost.load)
            rows[2 * number + 1].add(cost.cpu, at_best.cpu)
    return rows

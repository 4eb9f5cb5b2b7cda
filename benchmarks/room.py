"""A live room of 5,000: one member speaks at a steady rate, everybody hears it, and bystanders are served meanwhile.

The message goes through gateway and BusinessWorker, which share a core. Rates rise until the time from when a message
was due to hearing it passes 150 ms at the 99th percentile, or messages are missing; the figure is the last rate before
that. The reference is what a bare loop of `send` could keep up with, in which each message is written by itself.
Ten bystanders, clients in no room, have a message echoed every 20 ms each while the room is at 1,000 a second.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_SEND, Cost, Measured, Spent, fanout_rate, reference_name
from benchmarks.processes import BenchmarkError, Helper, load, reference

__all__ = ["RATES", "RUNS", "bare_rate", "climb", "is_kept", "run"]

RUNS = 2
MEMBERS = 5000
BYSTANDERS = 10
MILLISECONDS = 2500
P99_MILLISECONDS = 150
RATES = (50, 100, 200, 400, 600, 800, 1000, 1200, 1600, 2000, 2500, 3000, 4000)
FIRST = 400
"""Where a climb begins; lower rates are tried where this one is too much."""
BYSTANDERS_AT = 1000
TOO_MUCH = ("cut off", "a send failed", "does not read")
"""What the load says of a server that gives up on its clients, or does not read from them any more."""
LATE = 4000.0
"""Milliseconds that messages which never came count as."""
TIMES = 20
"""That the reference sends to each member."""


def run(
    runs: int, members: int = MEMBERS, rates: tuple[int, ...] = RATES, milliseconds: int = MILLISECONDS
) -> list[Row]:
    """Measure."""
    kept = Row(f"{members} members", "messages a second to each", reference_name(BARE_SEND), "room")
    p50 = {rate: Row(f"p50 at {rate} a second", "ms") for rate in rates}
    p99 = {rate: Row(f"p99 at {rate} a second", "ms") for rate in rates}
    bystanders = Row(f"p99 of bystanders while the room is at {BYSTANDERS_AT} a second", "ms")
    for _ in range(runs):
        with Cluster("room") as cluster, load() as clients:
            clients.ask("connect", "bystanders", "websocket", cluster.port, BYSTANDERS, "/")
            clients.ask("exchange", "bystanders")
            heard = climb(cluster, clients, cluster.port, members, rates, milliseconds)
        best = max((rate for rate, found in heard.items() if is_kept(found)), default=0)
        if not best:
            raise BenchmarkError(f"{min(heard)} messages a second are too many already")
        for rate, found in heard.items():
            p50[rate].add(found["p50"])
            p99[rate].add(found["p99"])
            if rate == BYSTANDERS_AT:
                bystanders.add(found["bystanders_p99"])
        kept.add(best, bare_rate(members).clock / members, heard[best]["load"])
    rows = [row for rate in rates for row in (p50[rate], p99[rate])]
    return [row for row in (kept, *rows, bystanders) if row.values]


def is_kept(found: dict[str, Any]) -> bool:
    """Whether a rate was kept up with."""
    return bool(found["p99"] <= P99_MILLISECONDS and not found["missing"])


def climb(
    server: Measured,
    clients: Helper,
    port: int,
    members: int,
    rates: tuple[int, ...] = RATES,
    milliseconds: int = MILLISECONDS,
    kind: str = "websocket",
    path: str = "/room",
    bystanders: str = "bystanders",
) -> dict[int, dict[str, Any]]:
    """Have the room speak faster and faster, or slower if the first rate is too much; gives what was heard by rate.

    After a rate that was too much the room is a new one, since the last still has much to say.
    """
    heard: dict[int, dict[str, Any]] = {}
    start = rates.index(FIRST) if FIRST in rates else 0
    enter(clients, kind, port, members, path)
    for rate in rates[start:]:
        heard[rate] = speak(server, clients, rate, milliseconds, bystanders)
        if not is_kept(heard[rate]):
            break
    for rate in reversed(rates[:start]):
        if any(map(is_kept, heard.values())):
            break
        clients.ask("close", "room")
        enter(clients, kind, port, members, path)
        heard[rate] = speak(server, clients, rate, milliseconds, bystanders)
    clients.ask("close", "room")
    return heard


def enter(clients: Helper, kind: str, port: int, members: int, path: str) -> None:
    """Fill a room."""
    clients.ask("connect", "room", kind, port, members, path)
    clients.ask("exchange", "room")


def speak(server: Measured, clients: Helper, rate: int, milliseconds: int, bystanders: str) -> dict[str, Any]:
    """Speak at a rate."""
    spent = Spent(server, clients)
    try:
        found: dict[str, Any] = clients.ask("speak", "room", rate, milliseconds, bystanders)
    except BenchmarkError as error:
        if not any(reason in str(error) for reason in TOO_MUCH):
            raise
        print(f"    {rate} a second: {error}", file=sys.stderr, flush=True)
        return {"p50": LATE, "p99": LATE, "bystanders_p50": LATE, "bystanders_p99": LATE, "missing": 1, "load": 0.0}
    found["load"] = spent.rates(1, 1).load
    beside = f", bystanders {found['bystanders_p99']:.0f} ms" if bystanders != "-" else ""
    print(
        f"    {rate} a second: p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms{beside}; "
        f"the load took {found['load']:.2f} of the server's CPU time",
        file=sys.stderr,
        flush=True,
    )
    return found


def bare_rate(members: int) -> Cost:
    """Frames a second of a loop of `send`."""
    with reference("send") as sender, load() as clients:
        clients.ask("connect", "room", "raw", sender.port, members, "/")
        fanout_rate(sender, clients, "room", members, 2, 1)
        return fanout_rate(sender, clients, "room", members, TIMES, 1)

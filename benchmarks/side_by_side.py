"""fanout, room and echo of other servers in the same run as Tidegate, as far as `peers/README.md` has brought them.

The same load, connection for connection and message for message; Socket.IO gets its own packets. Peers are one process,
while Tidegate is a gateway and a worker on the same core. The reference is the one of each benchmark.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import fanout, room
from benchmarks.cluster import Cluster
from benchmarks.figures import Row
from benchmarks.measuring import BARE_ECHO, BARE_SEND, echo_rate, fanout_rate, reference_name
from benchmarks.processes import BenchmarkError, Helper, Server, load, reference

__all__ = ["RUNS", "run"]

RUNS = 3
MEMBERS = 5000
LOADS = ((50, 1), (500, 8))
MILLISECONDS = 1000
RATES = (10, 20, 35, 50, 100, 200, 400, 800, 1000, 1600, 2000, 3000)
FOLDER = Path(__file__).resolve().parent / "peers"
MODULES = FOLDER / "node_modules"
PYTHON = FOLDER / "venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and how the load talks to it."""

    name: str
    command: tuple[str, ...] = ()
    needs: Path | None = None
    kind: str = "websocket"
    path: str = "/"
    room: str = "/room"


TIDEGATE = Peer("Tidegate")


def installed() -> list[Peer]:
    """Peers that are there."""
    packages = next(iter(PYTHON.parent.parent.glob("lib/python*/site-packages")), FOLDER / "none")
    node = shutil.which("node") or ""
    bun = str(MODULES / ".bin" / "bun")
    io, entered = "/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=4&transport=websocket&room=1"

    def program(*start: str) -> tuple[str, ...]:
        return (*start[:-1], str(FOLDER / start[-1]))

    every = (
        Peer("Bun", program(bun, "bun.mjs"), MODULES / "bun"),
        Peer("Node ws", program(node, "ws.mjs"), MODULES / "ws"),
        Peer("Socket.IO", program(node, "socketio.mjs"), MODULES / "socket.io", "socketio", io, entered),
        Peer("websockets", program(str(PYTHON), "websockets_server.py"), packages / "websockets"),
        Peer("picows", program(str(PYTHON), "picows_server.py"), packages / "picows"),
        Peer(
            "python-socketio",
            program(str(PYTHON), "socketio_server.py"),
            packages / "socketio",
            "socketio",
            io,
            entered,
        ),
    )
    return [peer for peer in every if peer.command[0] and peer.needs is not None and peer.needs.exists()]


def run(
    runs: int, members: int = MEMBERS, rates: tuple[int, ...] = RATES, milliseconds: int = MILLISECONDS
) -> list[Row]:
    """Measure.

    Raises:
        BenchmarkError: none is installed.
    """
    found = installed()
    if not found:
        raise BenchmarkError("no other server is installed: benchmarks/peers/README.md says how")
    rows: list[Row] = []
    for peer in (TIDEGATE, *found):
        print(f"  {peer.name}", file=sys.stderr, flush=True)
        try:
            rows += measure(peer, runs, members, rates, milliseconds)
        except BenchmarkError as error:  # of one peer is no reason to miss the others
            if peer is TIDEGATE:
                raise
            print(f"    {error}", file=sys.stderr, flush=True)
    return rows


@contextlib.contextmanager
def started(peer: Peer, app: str) -> Iterator[Server | Cluster]:
    """A server that is ready."""
    with Cluster(app) if peer is TIDEGATE else Server(*peer.command) as server:
        yield server


def measure(peer: Peer, runs: int, members: int, rates: tuple[int, ...], milliseconds: int) -> list[Row]:
    """All of one server."""
    with load() as clients:
        rows = fanouts(peer, clients, runs, members)
        rows += echoes(peer, clients, runs, milliseconds)
        rows.append(live_room(peer, clients, runs, members, rates, milliseconds))
    return rows


def fanouts(peer: Peer, clients: Helper, runs: int, members: int) -> list[Row]:
    """A message at a time, and bursts."""
    name = reference_name(BARE_SEND)
    rows = {label: Row(label, "frames a second", name, f"fanout {n}", peer.name) for label, _, n in fanout.ORDERS}
    with started(peer, "room") as server, reference("send") as sender:
        clients.ask("connect", "room", peer.kind, server.port, members, peer.room)
        clients.ask("exchange", "room")
        clients.ask("connect", "bare", "raw", sender.port, members, "/")
        for _ in range(runs):
            for label, times, frames in fanout.ORDERS:
                bare = fanout_rate(sender, clients, "bare", members, times, frames)
                cost = fanout_rate(server, clients, "room", members, times, frames)
                rows[label].add(cost.clock, bare.clock, cost.load)
        clients.ask("close", "room")
        clients.ask("close", "bare")
    return list(rows.values())


def echoes(peer: Peer, clients: Helper, runs: int, milliseconds: int) -> list[Row]:
    """Each load."""
    rows = []
    with started(peer, "echo") as server, reference("echo") as bare:
        for count, in_flight in LOADS:
            where = f"echo, {count} clients, {in_flight} in flight"
            row = Row(where, "messages a second", reference_name(BARE_ECHO), f"echo {count} {in_flight}", peer.name)
            clients.ask("connect", "peer", peer.kind, server.port, count, peer.path)
            clients.ask("exchange", "peer")
            clients.ask("connect", "bare", "echoed", bare.port, count, "/")
            for _ in range(runs):
                at_best = echo_rate(bare, clients, "bare", in_flight, milliseconds)
                cost = echo_rate(server, clients, "peer", in_flight, milliseconds)
                row.add(cost.clock, at_best.clock, cost.load)
            clients.ask("close", "peer")
            clients.ask("close", "bare")
            rows.append(row)
    return rows


def live_room(peer: Peer, clients: Helper, runs: int, members: int, rates: tuple[int, ...], milliseconds: int) -> Row:
    """The rate kept up with, 0 where even the lowest is too much.

    After a rate that was too much the server is a new one: some answer nobody until they have said what they have left.
    """
    row = Row(f"a live room of {members}", "messages a second to each", reference_name(BARE_SEND), "room", peer.name)
    climbs = [tuple(rate for rate in rates if rate >= room.FIRST)]
    climbs += [(rate,) for rate in reversed(rates) if rate < room.FIRST]
    for _ in range(runs):
        heard: dict[int, dict[str, Any]] = {}
        for climb in filter(None, climbs):
            with started(peer, "room") as server:
                heard |= room.climb(
                    server, clients, server.port, members, climb, milliseconds, peer.kind, peer.room, bystanders="-"
                )
            if any(map(room.is_kept, heard.values())):
                break
        best = max((rate for rate, found in heard.items() if room.is_kept(found)), default=0)
        row.add(best, room.bare_rate(members).clock / members)
    return row

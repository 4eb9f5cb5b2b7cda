"""A router without sockets: clients and workers that do as a test says."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from tidegate.gateway.event import Place
from tidegate.gateway.peer import Peer
from tidegate.gateway.router import Router
from tidegate.wire.commands import EVENT_NAMES, ON_CLOSE, ON_CONNECT
from tidegate.wire.packet import Packet, PacketReader

__all__ = ["LIMIT", "Client", "Link", "Worker", "World", "received"]

PLACE = Place(0x7F000001, 2900, 7272)
LIMIT = 1500
"""Bytes that may wait for a worker: a dozen events."""


class Client:
    """What a router needs of a connection.

    Attributes:
        sent: the bodies of its events, each another.
        started: those that workers began with.
    """

    def __init__(self, number: int) -> None:
        self.id = number
        self.peer: Peer | None = None
        self.session = b""
        self.origin: int | bytes = 0x7F000001
        self.port = 1
        self.is_gone = False
        self.is_open = True
        self.is_paused = False
        self.closed: int | None = None
        self.sent: list[bytes] = []
        self.started: list[bytes] = []

    def pause(self) -> None:
        if self.is_open:
            self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self, *, code: int, reason: str) -> None:
        self.closed = code
        self.is_open = self.is_paused = False


class Link:
    """The gateway's end of a worker's connection; what is not taken from it waits."""

    def __init__(self) -> None:
        self.queue: deque[bytes] = deque()
        self.size = 0
        self.was_full = False

    def send(self, data: bytes) -> None:
        self.size += len(data)
        while data:
            size = int.from_bytes(data[:4])
            self.queue.append(data[:size])
            data = data[size:]

    @property
    def is_full(self) -> bool:
        self.was_full = self.was_full or self.size > LIMIT
        return self.size > LIMIT


class Worker:
    """One of Tidegate's, which has what it took from its link, and starts a client's events one after the other."""

    def __init__(self, world: World, key: str) -> None:
        self._world = world
        self.link = Link()
        self._reader = PacketReader()
        self._taken = 0
        self._started = self._finished = 0
        self.waiting: dict[int, Packet] = {}  # by number
        self.running: set[int] = set()  # connection ids
        self.known: set[int] = set()
        self.is_draining = False
        self.replaced: Any
        self.peer, self.replaced = world.router.join(key, self.link, True)  # type: ignore[arg-type]

    def take(self, count: int) -> None:
        """Read so many packets."""
        for _ in range(min(count, len(self.link.queue))):
            data = self.link.queue.popleft()
            self.link.size -= len(data)
            (packet,) = self._reader.feed(data)
            assert packet[0] in EVENT_NAMES
            self._taken += 1
            self.waiting[self._taken] = packet
            self.known.add(packet[1])
        if self.link.was_full and self.link.size <= LIMIT // 2:
            self.link.was_full = False
            self._world.router.link_drained(self.peer)

    def ready(self) -> list[int]:
        """The numbers of events that can be started: of each client the first."""
        seen = set(self.running)
        found = []
        for number, packet in self.waiting.items():
            if packet[1] not in seen:
                found.append(number)
            seen.add(packet[1])
        return found

    def start(self, number: int, in_order: bool = False) -> None:
        """Begin with an event, and say so."""
        packet = self.waiting.pop(number)
        self._world.clients[packet[1]].started.append(packet[4])
        self.running.add(packet[1])
        self._started += 1
        self._report(() if in_order else (number,))

    def finish(self) -> None:
        """Bring all that is begun to its end, and say so."""
        self._finished = self._started
        self.running.clear()
        self._report(())

    def _report(self, numbers: tuple[int, ...]) -> None:
        self.peer.window.progress(self._started, self._finished, numbers)
        self._world.router.progressed(self.peer)

    def drain(self) -> None:
        self.is_draining = True
        self._world.router.drain(self.peer)

    def release(self, count: int) -> None:
        """Let clients go for which there is nothing to do any more."""
        if self.link.queue:  # there may be more of theirs
            return
        busy = self.running | {packet[1] for packet in self.waiting.values()}
        free = sorted(self.known - busy)[:count]
        self.known.difference_update(free)
        self._world.router.release_clients(self.peer, free, self._world.open_clients())  # type: ignore[arg-type]

    def die(self) -> None:
        self._world.router.leave(self.peer)

    def work_off(self) -> None:
        """Do all that there is to do."""
        while self.link.queue or self.waiting:
            self.take(100)
            while ready := self.ready():
                for number in ready:
                    self.start(number)
                self.finish()


class World:
    """A router, its clients and its workers."""

    def __init__(self, choice: Any = "least", **limits: Any) -> None:
        self.loop = asyncio.new_event_loop()

        async def make() -> Router:
            known = {"wait_seconds": 5, "wait_limit": 10**9, "send_limit": LIMIT, "max_packet_size": 10**6}
            return Router(PLACE, choice, **{**known, **limits})

        self.router = self.loop.run_until_complete(make())
        self.clients: dict[int, Client] = {}

    def end(self) -> None:
        self.router.release()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def open_clients(self) -> dict[int, Client]:
        return {number: client for number, client in self.clients.items() if not client.is_gone}

    def connect(self) -> Client:
        client = self.clients[len(self.clients) + 1] = Client(len(self.clients) + 1)
        client.sent.append(b"")
        self.router.event(client, ON_CONNECT)  # type: ignore[arg-type]
        return client

    def say(self, client: Client, count: int = 1, size: int = 8) -> None:
        """Have messages come from a client in one read."""
        texts = [f"{len(client.sent) + at}".rjust(size, ".") for at in range(count)]
        client.sent += [text.encode() for text in texts]
        self.router.forward(client, list(texts))  # type: ignore[arg-type]

    def leave(self, client: Client) -> None:
        client.is_gone, client.is_open = True, False
        client.sent.append(b"")
        self.router.event(client, ON_CLOSE)  # type: ignore[arg-type]


def received(worker: Worker) -> list[tuple[int, int]]:
    """Commands and connection ids that a worker has been sent."""
    worker.take(10**6)
    found = [(packet[0], packet[1]) for packet in worker.waiting.values()]
    worker.work_off()
    return found

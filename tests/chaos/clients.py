"""Clients that are nothing but a socket: they number what they send, note what comes, and come back when cut off."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from tests.chaos.records import Connection
from tests.clients import client_frame, upgrade_request

__all__ = ["Crowd", "Habits", "Person"]

AHEAD = 4
"""Messages that a client sends before it has the answers."""
AGAIN_SECONDS = 0.05
"""Before a client that was cut off connects again."""
CALM_SECONDS = 3.5
"""After a gateway process is there, until every sender that was stopped meanwhile, and every push client with a list of
before, has heard of it: from then on its clients have to get everything."""
PAUSES = (0, 4, 50)
"""Milliseconds that a handler takes for a client's messages, for one client in turn."""
LOST_SECONDS = 3.0
"""After which a client waits no more for answers."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How likely it is at each tick, so many seconds after the last, that a client says something, that this is for the
    room, and that it leaves."""

    tick: float = 0.02
    talking: float = 0.6
    publishing: float = 0.05
    leaving: float = 0.0005


class Wire(asyncio.Protocol):
    """One WebSocket connection, read by hand (RFC 6455 section 5.2)."""

    def __init__(self, person: Person, connection: Connection) -> None:
        self._person = person
        self.connection = connection
        self._data = bytearray()
        self._is_open = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(upgrade_request("/"))

    def send(self, text: str) -> None:
        if self.transport is not None:
            self.transport.write(client_frame(0x81, text.encode()))

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_open:
            head, separator, rest = self._data.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._is_open, self._data = True, bytearray(rest)
            self._person.opened(self)
        self._read_frames()

    def _read_frames(self) -> None:
        data, at = self._data, 0
        while len(data) >= at + 2:
            length, begin = data[at + 1], at + 2
            if length == 126:
                length, begin = int.from_bytes(data[at + 2 : at + 4]), at + 4
            if len(data) < begin + length:
                break
            self._frame(data[at], bytes(data[begin : begin + length]))
            at = begin + length
        del data[:at]

    def _frame(self, first: int, payload: bytes) -> None:
        assert self.transport is not None
        if first == 0x81:
            self._person.took(self, payload.decode())
        elif first == 0x89:
            self.transport.write(client_frame(0x8A, payload))
        elif first == 0x88:
            self.connection.end = self.connection.end or f"closed with {int.from_bytes(payload[:2])}"
            self.transport.write(client_frame(0x88, payload[:2]))
        else:
            raise AssertionError(f"a frame that begins with {first:#x}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._person.lost(self, "reset" if exc is not None else "cut off")


class Person:
    """One client, over several connections.

    Args:
        number: of the client; its uid is made of it.
    """

    def __init__(self, number: int, crowd: Crowd) -> None:
        self.number = number
        self.connections: list[Connection] = []
        self._crowd = crowd
        self._wire: Wire | None = None
        self._pause = PAUSES[number % len(PAUSES)]
        self._introduced = 0  # number of the message that said who it is
        self._is_leaving = False
        self._said_at = 0.0

    @property
    def connection(self) -> Connection | None:
        """The one that is open."""
        return self._wire.connection if self._wire is not None else None

    def come(self) -> None:
        """Connect, until it works."""
        self._crowd.begin(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._crowd.is_over:
            connection = Connection(f"{self.number}.{len(self.connections)}", time.monotonic())
            try:
                await loop.create_connection(functools.partial(Wire, self, connection), "127.0.0.1", self._crowd.port)
            except OSError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    def opened(self, wire: Wire) -> None:
        self._wire, self._is_leaving = wire, False
        self.connections.append(wire.connection)
        self._introduce()

    def _introduce(self) -> None:
        self._introduced = self._say("i", f"u{self.number}")

    def _say(self, what: str, more: str = "-") -> int:
        assert self._wire is not None
        self._wire.connection.sent += 1
        self._said_at = time.monotonic()
        self._wire.send(f"{what} {self._wire.connection.sent} {self._pause} {more}")
        return self._wire.connection.sent

    def took(self, wire: Wire, text: str) -> None:
        """A message has come: an answer, or one of a stream's."""
        connection = wire.connection
        what, number, more = text.split(" ")
        if what != "e":
            connection.heard(what, int(number))
            return
        connection.answered(int(number))
        self._crowd.answers += 1
        if not connection.client_id and more != "-":
            connection.client_id, connection.index = more, int(more[8:12], 16) - self._crowd.inner
            connection.known_at = time.monotonic()
            self._crowd.begin(self._count_on(connection))
        elif not connection.client_id and connection.answers.last >= self._introduced:
            self._introduce()  # it was lost

    async def _count_on(self, connection: Connection) -> None:
        """From now on it is in the room, and known by its uid and its id to all, once its gateway is."""
        if self._crowd.is_young(connection.index):
            await asyncio.sleep(CALM_SECONDS)
        connection.base, connection.base_at = self._crowd.bases(), time.monotonic()

    def end(self) -> None:
        """Hang up, and note nothing any more."""
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.abort()

    def lost(self, wire: Wire, how: str) -> None:
        if self._crowd.is_over:
            return
        wire.connection.end = wire.connection.end or how
        if self._wire is wire:
            self._wire = None
        self._crowd.begin(self._come_again())

    async def _come_again(self) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        await self._connect()

    def tick(self) -> None:
        """Say something, perhaps, or leave."""
        wire = self._wire
        if wire is None:
            return
        connection = wire.connection
        # What is not answered for so long was lost with a worker.
        is_lost = time.monotonic() - self._said_at > LOST_SECONDS
        waiting = 0 if is_lost else connection.sent - connection.answers.last
        if self._is_leaving:
            if connection.sent == connection.answers.last and wire.transport is not None:
                connection.end = "left"
                wire.transport.write(client_frame(0x88, (1000).to_bytes(2)))
                self._wire = None
            elif not waiting:
                self._say("m")
        elif connection.base is None:
            if not connection.client_id and not waiting:
                self._introduce()
        elif random.random() < self._crowd.habits.leaving:
            self._is_leaving = True
        elif waiting < AHEAD and random.random() < self._crowd.habits.talking:
            self._talk(connection)

    def _talk(self, connection: Connection) -> None:
        if random.random() >= self._crowd.habits.publishing:
            self._say("m")
            return
        number = len(connection.published) + 1
        connection.published[number] = self._say("g", f"{connection.name}:{number}")


class Crowd:
    """All clients.

    Args:
        count: of them.
        port: of the gateway.
        inner: the first of its inner ports.
        bases: gives the number from which on a new receiver has to get each stream's messages.
        is_young: whether a gateway process of that index has not been there for long.

    Attributes:
        answers: that came.
        is_over: nobody connects any more.
    """

    def __init__(
        self,
        count: int,
        port: int,
        inner: int,
        bases: Callable[[], Mapping[str, int]],
        is_young: Callable[[int], bool],
        habits: Habits | None = None,
    ) -> None:
        self.port, self.inner = port, inner
        self.habits = habits or Habits()
        self.bases, self.is_young = bases, is_young
        self.answers = 0
        self.is_over = False
        self.people = [Person(number, self) for number in range(count)]
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: object) -> None:
        """Do something in the background."""
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def talk(self, seconds: float) -> None:
        """Have all say things for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for person in self.people:
                person.tick()
            await asyncio.sleep(self.habits.tick)

    @property
    def connections(self) -> list[Connection]:
        """Every one that there was."""
        return [connection for person in self.people for connection in person.connections]

    @property
    def here(self) -> list[Connection]:
        """Those that are open."""
        return [person.connection for person in self.people if person.connection is not None]

    def end(self) -> None:
        """Note nothing more, and close everything; what is open counts as that still."""
        self.is_over = True
        for person in self.people:
            person.end()
        for task in self._tasks:
            task.cancel()

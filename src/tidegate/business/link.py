"""A worker's link to a gateway: it numbers the events that come, and tells at the end of a turn how far it is."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from tidegate.business.progress import Progress, Untold
from tidegate.client import failures
from tidegate.errors import ClusterError
from tidegate.net.link import Link, Reader
from tidegate.wire import commands
from tidegate.wire.packet import pack

if TYPE_CHECKING:
    from tidegate.business.remote import RemoteGateway

__all__ = ["GatewayLink", "says"]

ANSWER_SECONDS = 5
NEW_SECONDS = 25
"""That a gateway has from its link on until it is known on NATS: more than it takes where the bucket is away."""
MAX_NUMBER = 2**32 - 1
MAX_REQUESTS = 100_000
"""Queries that may wait for an answer at the same time."""
MARKER = pack(commands.IS_ONLINE)
"""A query that asks nothing: that it is answered says that what was sent before it has been carried out."""
UNDERWAY_SECONDS = 10
"""That an event may take from a PHP gateway to here, so that it does not show a save; those of Tidegate's say so."""


class Request(NamedTuple):
    """A query that waits for its answer.

    Attributes:
        future: of whoever waits for it; None where it is a marker.
        position: of the last save before it.
        since: the reactor's tick at which it was asked.
        parts: of an answer that is longer than a packet, those that have come.
    """

    future: asyncio.Future[bytes] | None
    position: int
    since: int
    parts: list[bytes]


class GatewayLink(Link):
    """One connection to a gateway.

    Attributes:
        is_tidegate: it has said so, so that extensions may be sent.
        is_drained: it sends no more events.
        has_left: the gateway has said that it stops.
        received: events that came on it.
        progress: which of them were started and finished.
        confirmed: the position up to which saves are known to be applied.
        numbers_saves: positions are numbers of saves, as Tidegate's gateways answer for; else they are times.
    """

    __slots__ = (
        "_began",
        "_counts",
        "_is_due",
        "_marked",
        "_marker",
        "_numbers",
        "_saved",
        "confirmed",
        "has_left",
        "is_drained",
        "is_tidegate",
        "numbers_saves",
        "progress",
        "received",
        "requests",
    )

    def __init__(self, owner: RemoteGateway, reader: Reader, limit: int, sock: socket.socket | None = None) -> None:
        super().__init__(owner, reader, limit, sock)
        self._began = self._reactor.tick
        self._counts = owner.counts
        self.is_tidegate = False
        self.is_drained = False
        self.has_left = False
        self.received = 0
        self.progress: Progress | Untold = Untold()
        self.numbers_saves = owner.is_tidegate
        self.confirmed = 0 if self.numbers_saves else self._reactor.tick
        self.requests: dict[int, Request] = {}
        self._numbers = itertools.count(1)
        self._saved = 0  # saves sent
        self._marked = 0  # of these, how many were sent before the last query
        self._marker = 0  # the number of the marker that waits for its answer
        self._is_due = False  # the end of the turn has something to tell

    @property
    def is_new(self) -> bool:
        """Whether it was made a moment ago."""
        return self._reactor.tick - self._began < NEW_SECONDS

    def greet(self) -> None:
        """The gateway is Tidegate's."""
        self.is_tidegate = True
        self.progress = Progress()
        if not self.numbers_saves:
            self.numbers_saves, self.confirmed = True, 0
        elif self._saved:
            self.progressed()

    def put(self, data: bytes) -> bool:
        """Queue bytes to leave at the end of this turn; gives whether it did, as it does not where something waits."""
        if self._blocked or self._size > self._limit or self.closing or self.is_closed:
            return False
        if not self._queue:
            self._reactor.flush_first(self)
        self._queue.append(data)
        self._size += len(data)
        return True

    # At the end of a turn

    def progressed(self) -> None:
        """Events were started or finished, or a session saved: tell at the end of this turn."""
        if not self._is_due and self.is_tidegate and not self.is_closed:
            self._is_due = True
            self._reactor.flush_first(self)

    def tell(self) -> None:
        """Tell now, as far as the link takes it."""
        self.progressed()
        self.flush()

    def flush(self) -> None:
        if not self._blocked:
            self._counts.sent += len(self._queue)
        if self._is_due and not self._blocked:
            self._is_due = False
            self._add(self.progress.report())
            if self._saved > self._marked and not self._marker:
                self._marker = self._next_number()
                self.requests[self._marker] = Request(None, self._saved, self._reactor.tick, [])
                self._marked = self._saved
                self._add(pack(commands.QUERY, self._marker, body=MARKER))
        super().flush()

    def _add(self, data: bytes) -> None:
        """Add to what is being flushed."""
        if data and not self.closing:
            self._queue.append(data)
            self._size += len(data)

    def end(self) -> None:
        """Send what is queued, and the end of the stream; then the gateway hangs up, and nothing that it has read or
        sent is lost to a reset."""
        self.flush()
        self.resume_reading()
        if self._queue or self._transport is None or not self._transport.can_write_eof():
            self.close()
        elif not self.closing and not self.is_closed:
            self._transport.write_eof()

    # Saves

    def save_position(self) -> int:
        """The position of a save that is sent now."""
        if not self.numbers_saves:
            return self._reactor.tick + UNDERWAY_SECONDS
        self._saved += 1
        self.progressed()
        return self._saved

    @property
    def is_saving(self) -> bool:
        """Whether saves are on their way that are not known to be applied."""
        return self.numbers_saves and self._saved > self.confirmed

    # Queries

    def ask(self, query: bytes, address: str) -> asyncio.Future[bytes]:
        """Send a query; gives a future of the serialized answer.

        Raises:
            ClusterError: too many wait already.
        """
        if len(self.requests) >= MAX_REQUESTS:
            raise ClusterError(
                f"{MAX_REQUESTS} queries wait for gateway {address} already: await them as they are made"
            )
        number = self._next_number()
        future: asyncio.Future[bytes] = self._loop.create_future()
        self.requests[number] = Request(future, self._saved, self._reactor.tick, [])
        self._marked = self._saved
        self.send(pack(commands.QUERY, number, body=query))
        return future

    def answer(self, number: int, value: bytes, *, goes_on: bool = False) -> bool:
        """An answer has come, or a part of one; gives whether anything of that number was asked."""
        request = self.requests.get(number)
        if request is None:
            return False
        if goes_on:
            request.parts.append(value)
            return True
        del self.requests[number]
        if request.parts:
            value = b"".join((*request.parts, value))
        self.confirmed = max(self.confirmed, request.position)
        if number == self._marker:
            self._marker = 0
            if self._saved > self._marked:
                self.progressed()
        if request.future is not None and not request.future.done():
            request.future.set_result(value)
        return True

    def expire(self, address: str) -> None:
        """Once a second: give up on what is not answered, and let time pass for saves towards PHP."""
        now = self._reactor.tick
        if not self.numbers_saves:
            self.confirmed = now
        for number, request in tuple(self.requests.items()):
            if now - request.since <= ANSWER_SECONDS:
                break
            del self.requests[number]
            if number == self._marker:
                self._marker, self._marked = 0, self.confirmed
                self.progressed()
            if request.future is not None and not request.future.done():
                request.future.set_exception(failures.not_answered(address, ANSWER_SECONDS))

    def fail(self, error: ClusterError) -> None:
        """It is gone: whoever waits for an answer is told."""
        requests, self.requests = self.requests, {}
        for request in requests.values():
            if request.future is not None and not request.future.done():
                request.future.set_exception(error)

    def _next_number(self) -> int:
        number = next(self._numbers)
        if number > MAX_NUMBER:
            self._numbers = itertools.count(1)
            return self._next_number()
        return number


def says(ext: bytes, what: str) -> bool:
    """Whether a gateway says something of itself in the ext data of a PING."""
    try:
        says = json.loads(ext)
    except (ValueError, RecursionError):
        return False
    return isinstance(says, dict) and says.get(what) == 1

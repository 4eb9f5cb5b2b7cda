"""What all connections of one worker share: settings, callbacks, tables, counters, deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Literal

from tidegate.net.connection import Connection
from tidegate.net.gate import Gate, Refusal, origin_of
from tidegate.net.reactor import FrameCache, Reactor
from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle
from tidegate.protocols import Codec

if TYPE_CHECKING:
    from tidegate.net.admission import Admission
    from tidegate.net.audience import Audience
    from tidegate.net.datagrams import Peer
    from tidegate.net.inbox import Inbox

__all__ = ["Callbacks", "Endpoint", "Limits"]

logger = logging.getLogger("tidegate")

REQUEST_SIZE = 64 * 1024
"""Bytes that are read of somebody who is refused."""


@dataclass(slots=True)
class Callbacks:
    """The user's functions; each may be `def` or `async def`."""

    on_connect: Callable[..., Any] | None = None
    on_message: Callable[..., Any] | None = None
    on_close: Callable[..., Any] | None = None
    on_error: Callable[..., Any] | None = None
    on_buffer_full: Callable[..., Any] | None = None
    on_buffer_drain: Callable[..., Any] | None = None


@dataclass(slots=True, frozen=True)
class Limits:
    """Bounds of one connection.

    Attributes:
        send_buffer_limit: bytes that may wait for a peer.
        slow_consumer: what happens over it: the connection is closed, or its new messages are dropped.
        handshake_seconds: until a protocol's handshake must be done.
        max_handshakes: that may be under way; over it the oldest is dropped.
        close_seconds: that `close` waits for the peer.
        messages_per_second, bytes_per_second: that a client may send; 0 is no bound.
        over_rate: what happens over it: reading pauses, or the connection is closed.
        pending_events: callbacks that may wait for one that is `async` before reading pauses.
    """

    send_buffer_limit: int = 1024 * 1024
    slow_consumer: Literal["close", "drop"] = "close"
    handshake_seconds: int = 10
    max_handshakes: int = 10_000
    close_seconds: int = 5
    messages_per_second: int = 0
    bytes_per_second: int = 0
    over_rate: Literal["pause", "close"] = "pause"
    pending_events: int = 100

    @property
    def are_metered(self) -> bool:
        """Whether what comes has to be counted."""
        return bool(self.messages_per_second or self.bytes_per_second)


class Endpoint:
    """One for each worker in a process.

    Args:
        name: of the worker, for logs.
        make_codec: makes a connection's protocol.
        owner: what connections call their `worker`.
        connection_class: what a listener makes of the connections it takes.
        ids: numbers for them; those of all the process's connections unless given.
        gate: says who may come in; everybody unless given.
        is_http: whoever is not taken can be told so in HTTP at once.
    """

    def __init__(
        self,
        name: str,
        make_codec: Callable[[], Codec],
        callbacks: Callbacks,
        limits: Limits,
        owner: Any = None,
        *,
        connection_class: type[Connection] = Connection,
        ids: Iterator[int] | None = None,
        gate: Gate | None = None,
        is_http: bool = False,
    ) -> None:
        self.name = name
        self.make_codec = make_codec
        self.callbacks = callbacks
        self.limits = limits
        self.owner = owner
        self.connection_class = connection_class
        self.reactor = Reactor.acquire()
        self.ids = ids if ids is not None else self.reactor.ids
        self.gate = gate or Gate()
        self._is_http = is_http
        self.stats = Stats()
        self.throttle = Throttle(logger)
        self.connections: dict[int, Connection] = {}
        self.opening: dict[Connection, int] = {}  # with the tick by which the handshake must be done
        self.closing: dict[Connection, int] = {}  # with the tick at which waiting for the peer ends
        self.lingering: dict[Connection, int] = {}  # the same for those that were sent all there is
        self.tasks: set[asyncio.Future[Any]] = set()  # async callbacks under way
        self.audience: Audience | None = None  # while a message to all of them is on its way
        self.admission: Admission | None = None  # who judges handshakes; without one everybody is let in
        self.no_frames = FrameCache()  # stays empty
        self._caches: dict[int, FrameCache] = {}
        self.reactor.sweepers.append(self._sweep)

    def make_connection(self, sock: socket.socket | None) -> Connection:
        """Make one of what a listener has taken."""
        return self.connection_class(self, sock)

    def give_up(self, connection: Connection) -> None:
        """Nothing has to be done about one that was made and never connected."""

    def release(self) -> None:
        """End it, once its last connection is gone."""
        self.reactor.sweepers.remove(self._sweep)
        self.reactor.release()

    def admits(self, sock: socket.socket, peer: Any, starting: int) -> bool:
        """See whether one that a listener has accepted is taken; one that is not gets an answer, and is closed."""
        origin = origin_of(peer)
        refusal = self.gate.judge(origin, len(self.connections) + len(self.opening) + starting)
        if refusal is None:
            return True
        self.note_refusal(refusal, origin[0])
        with contextlib.suppress(OSError):
            if self._is_http:
                with contextlib.suppress(BlockingIOError):
                    sock.recv(REQUEST_SIZE)  # closing with something unread would destroy the answer
                sock.send(refusal.answer)
        sock.close()
        return False

    def note_refusal(self, refusal: Refusal, ip: str) -> None:
        """Count and log one who is not taken."""
        setattr(self.stats, refusal.counter, getattr(self.stats, refusal.counter) + 1)
        self.throttle.log(logging.WARNING, "%s: %s refused: %s", self.name, ip or "unix", refusal.reason)

    def open_later(self, connection: Connection) -> None:
        """Its handshake begins; where too many are under way, the oldest is dropped."""
        limits = self.limits
        self.opening[connection] = self.reactor.tick + limits.handshake_seconds
        if len(self.opening) <= limits.max_handshakes:
            return
        oldest = next(iter(self.opening))
        del self.opening[oldest]
        self.stats.dropped_handshakes += 1
        self.throttle.log(
            logging.WARNING, "%s: over %d handshakes: the oldest is dropped", self.name, limits.max_handshakes
        )
        oldest.destroy()

    def admit(self, connection: Connection) -> None:
        """Its handshake is done."""
        self.opening.pop(connection, None)
        self.connections[connection.id] = connection
        if self.audience is not None:
            self.audience.add(connection)

    def forget(self, connection: Connection) -> bool:
        """It is closed; gives whether it was ever open."""
        self.gate.leave(connection)
        for table in (self.opening, self.closing, self.lingering):
            table.pop(connection, None)
        was_open = self.connections.pop(connection.id, None) is not None
        if self.audience is not None:
            self.audience.discard(connection)
        if self.admission is not None and not was_open:
            self.admission.forget(connection)
        return was_open

    def cache(self, codec: Codec) -> FrameCache:
        """The frames of this turn, for connections that are sent the same bytes for the same message."""
        if not codec.shared:
            return self.no_frames
        cache = self._caches.get(codec.variant)
        if cache is None:
            cache = self._caches[codec.variant] = FrameCache()
        return cache

    def fire(self, callback: Callable[..., Any] | None, connection: Inbox | Peer, *args: Any) -> Any:
        """Call back; gives an awaitable where there is something to wait for."""
        if callback is None:
            return None
        try:
            result = callback(connection, *args)
        except Exception as error:
            self.report(connection, callback, error)
            return None
        if result is None or type(result) is CoroutineType or inspect.isawaitable(result):
            return result
        return None

    def follow(
        self, connection: Inbox | Peer, callback: Callable[..., Any], awaitable: Awaitable[Any]
    ) -> asyncio.Future[Any]:
        """Run what a callback returned to its end."""

        def done(task: asyncio.Future[Any]) -> None:
            self.tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                self.report(connection, callback, error)

        task = asyncio.ensure_future(awaitable)
        self.tasks.add(task)
        task.add_done_callback(done)
        return task

    def report(self, connection: Inbox | Peer, callback: Callable[..., Any], error: BaseException) -> None:
        """Log what a callback raised; the connection lives on."""
        self.stats.handler_errors += 1
        name = getattr(callback, "__qualname__", repr(callback))
        logger.error("%s: connection %s: %s failed", self.name, connection.id, name, exc_info=error)

    def _sweep(self) -> None:
        """Once a second: end what took too long. A table's deadlines lie in the order in which they were set."""
        self.throttle.flush()
        now = self.reactor.tick
        for table in (self.opening, self.closing, self.lingering):
            late = []
            for connection, deadline in table.items():
                if deadline >= now:  # the tick may have been about to end when it was set
                    break
                late.append(connection)
            for connection in late:
                connection.expire()

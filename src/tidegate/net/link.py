"""A link between processes of the cluster: items parsed from a stream, and bytes queued for it, one write a turn.

It knows nothing of what it carries: a reader without I/O finds the items, its owner takes them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Protocol, cast

from tidegate.errors import ProtocolError
from tidegate.net import silence
from tidegate.net.outbox import JOIN_LIMIT
from tidegate.net.reactor import READ_BUFFER_SIZE, Reactor
from tidegate.net.sockets import keep_alive

__all__ = ["Link", "LinkOwner", "Reader", "connect_link"]

DEFAULT_LIMIT = 16 * 1024 * 1024
JOIN_PIECE = 4096
"""Bytes of a piece, on average, up to which a copy costs less than to tell the system where each is."""
READS_A_TURN = 64
"""Full buffers that one link may take before others get their turn."""


class Reader(Protocol):
    """Finds items in a stream; `error` is set once it can't be read any further."""

    error: ProtocolError | None

    def feed(self, data: memoryview) -> list[Any]: ...


class HasContext(Protocol):
    """Whose links are secure."""

    def context(self) -> ssl.SSLContext:
        """For the next of them."""


class LinkOwner(Protocol):
    """Who is told what happens on a link."""

    def link_received(self, link: Any, items: list[Any]) -> None:
        """Items have come, those of one read together."""

    def link_drained(self, link: Any) -> None:
        """What was queued is below half of the limit again, after `is_full`."""

    def link_lost(self, link: Any, error: Exception | None) -> None:
        """It is closed; an error where it broke, or the other side made a mistake."""


class Link(asyncio.BufferedProtocol):
    """One end of a TCP connection between two processes of the cluster.

    Args:
        owner: is told of items, of room in the queue, and of the end.
        reader: finds the items.
        limit: bytes that may be queued before `is_full`; it is for those who send to stop then, nothing is dropped.
        sock: where it may be written to past the transport, which is quicker; not with TLS.

    Attributes:
        unconfirmed: of one that is watched, bytes that the other side had not confirmed when that was looked at last,
            within the last second.
    """

    __slots__ = (
        "__weakref__",
        "_blocked",
        "_buffer",
        "_error",
        "_limit",
        "_loop",
        "_paused",
        "_peer",
        "_queue",
        "_reactor",
        "_reader",
        "_size",
        "_socket",
        "_transport",
        "_was_full",
        "_watch",
        "closing",
        "id",
        "is_closed",
        "owner",
        "unconfirmed",
    )

    def __init__(
        self, owner: LinkOwner, reader: Reader, limit: int = DEFAULT_LIMIT, sock: socket.socket | None = None
    ) -> None:
        self.owner = owner
        self._reader = reader
        self._reactor = Reactor.acquire()
        self._loop = asyncio.get_running_loop()
        self._buffer = self._reactor.buffer
        self._limit = limit
        self._socket = sock
        self._transport: asyncio.Transport | None = None
        self._peer: Any = None  # with TLS
        self._queue: list[bytes] = []
        self._size = 0  # bytes in the queue
        self._blocked = False  # the system takes no more for now
        self._was_full = False
        self._paused = False
        self._error: OSError | None = None  # of a write past the transport, or that it was silent
        self._watch: silence.Watch | None = None
        self.unconfirmed = 0
        self.closing = False
        self.is_closed = False
        self.id = next(self._reactor.ids)

    # What owners call

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the other side."""
        waiting = self._transport.get_write_buffer_size() if self._blocked and self._transport is not None else 0
        return self._size + waiting

    @property
    def is_full(self) -> bool:
        """Whether more than the limit is queued; `link_drained` follows once it is not."""
        if (self._size <= self._limit and not self._blocked) or self.queued_bytes <= self._limit:
            return False
        self._was_full = True
        return True

    @property
    def peer(self) -> tuple[str, int]:
        """The other side's address and port."""
        peer = self._peer
        if peer is None and self._transport is not None:
            peer = self._transport.get_extra_info("peername")
        return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)

    def send(self, data: bytes) -> None:
        """Queue bytes, to leave at the end of this turn; nothing happens once it is closed."""
        if self.is_closed or self.closing:
            return
        if not self._queue and not self._blocked:
            self._reactor.flush_first(self)
        self._queue.append(data)
        self._size += len(data)

    def watch(self) -> None:
        """Notice it from now on when the machine at the other end goes silent: the link breaks then."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None and self._watch is None and not self.is_closed:
            self._watch = silence.Watch(sock)
            self._reactor.sweepers.append(self._look)

    def _look(self) -> None:
        if self._watch is None or self.closing:
            return
        is_silent = self._watch.is_silent()
        self.unconfirmed = self.queued_bytes + self._watch.unconfirmed
        if is_silent:
            reason = (
                f"its machine has confirmed nothing for {silence.SECONDS:g} s; {self.unconfirmed} bytes wait for that"
            )
            self._error = TimeoutError(reason)
            self.destroy()

    def pause_reading(self) -> None:
        """Take nothing more in, until `resume_reading`."""
        if not self._paused and not self.closing and not self.is_closed and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused and not self.closing and not self.is_closed and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is queued, then close."""
        if self.closing or self.is_closed:
            return
        self.flush()
        self.closing = True
        if self._transport is not None and not self._queue:
            self._transport.close()  # which still sends what it holds

    def destroy(self) -> None:
        """Close at once; what is queued is dropped."""
        if self.is_closed:
            return
        self.closing = True
        self._queue, self._size = [], 0
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Let go of it before anybody has it: the owner is told nothing of its end."""
        if not self.is_closed:
            self.is_closed = True
            if self._watch is not None:
                self._watch = None
                self._reactor.sweepers.remove(self._look)
            self._reactor.release()

    def flush(self) -> None:
        """Hand what is queued to the system."""
        queue = self._queue
        transport = self._transport
        if not queue or self._blocked or transport is None or self.is_closed:
            return
        size, self._queue, self._size = self._size, [], 0
        if size > JOIN_LIMIT and size > JOIN_PIECE * len(queue):
            transport.writelines(queue)
            if self._peer is None and transport.get_write_buffer_size():
                # asyncio of Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 forgets to say so (CVE-2024-12254).
                transport.set_write_buffer_limits(high=0)
        else:
            self._write(transport, queue[0] if len(queue) == 1 else b"".join(queue))
        if self._was_full and not self._blocked:
            self._loop.call_soon(self._check_drained)

    def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        sent = 0
        if self._socket is not None:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._error = error
                self.destroy()
                return
            if sent == len(data):
                return
        transport.write(memoryview(data)[sent:] if sent else data)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._transport.get_extra_info("ssl_object") is None:
            self._transport.set_write_buffer_limits(high=0)
        else:  # TLS pauses at its limit, others above it; and it forgets its peer when it is closed
            self._transport.set_write_buffer_limits(high=1)
            self._peer = self._transport.get_extra_info("peername")
        self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._take(nbytes)
        # Whoever was accepted later is served later, so that nothing of this one's may stay behind.
        reads = 0
        while nbytes == READ_BUFFER_SIZE and self._socket is not None and reads < READS_A_TURN:
            if self._paused or self.closing or self.is_closed:
                return
            try:
                nbytes = self._socket.recv_into(self._buffer)
            except OSError:  # most often because there is nothing more; what else it may be is noticed again
                return
            if not nbytes:  # the end, which the transport sees too: there may be answers to send before
                return
            self._take(nbytes)
            reads += 1

    def _take(self, nbytes: int) -> None:
        if self.closing or self.is_closed:
            return
        items = self._reader.feed(self._buffer[:nbytes])
        if items:
            self.owner.link_received(self, items)
        if self._reader.error is not None:
            self.flush()  # answers to what came before it
            if self._transport is not None:
                self._transport.abort()
            self._finish(self._reader.error)

    def eof_received(self) -> bool:
        self.flush()  # answers to what came before it
        if not self._queue or self._peer is not None:
            return False  # the transport closes when it has sent what it holds; TLS as asyncio has it does in any case
        self.closing = True
        return True

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        # In a turn of its own, as asyncio's transport can't bear to be closed while it says so.
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.is_closed:
            return
        self._blocked = False
        self.flush()
        if self.closing and not self._queue and self._transport is not None:
            self._transport.close()
        self._check_drained()

    def _check_drained(self) -> None:
        if self._was_full and not self.is_closed and self.queued_bytes <= self._limit // 2:
            self._was_full = False
            self.owner.link_drained(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._finish(exc if isinstance(exc, Exception) else self._error)

    def _finish(self, error: Exception | None) -> None:
        if self.is_closed:
            return
        self.abandon()
        self._queue, self._size = [], 0
        self.owner.link_lost(self, error)


async def connect_link(
    link_class: Any,
    host: str,
    port: int,
    seconds: float,
    *args: Any,
    trust: HasContext | None = None,
    **kwargs: Any,
) -> Any:
    """Connect, and make a link of the connection.

    Args:
        link_class: is called with ``args``, ``kwargs`` and the socket as ``sock``.
        seconds: until it must be there.
        trust: gives the context with which it is secure, and which decides whom it believes.

    Raises:
        OSError: no connection; TimeoutError and ssl.SSLError are some.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    sock = await _connect(loop, host, port, seconds)
    made: list[Link] = []

    def make() -> Link:
        made.append(link_class(*args, sock=sock if trust is None else None, **kwargs))
        return made[0]

    try:
        keep_alive(sock)
        silence.watch_idle(sock)
        if trust is None:
            _, link = await loop.create_connection(make, sock=sock)
        else:
            async with asyncio.timeout_at(deadline):
                _, link = await loop.create_connection(make, sock=sock, ssl=trust.context(), server_hostname="")
    except BaseException:
        for link in made:  # uvloop does not tell it of its end, where this was cancelled
            link.abandon()
        sock.close()
        raise
    return link


async def _connect(loop: asyncio.AbstractEventLoop, host: str, port: int, seconds: float) -> socket.socket:
    async with asyncio.timeout(seconds):
        found: Sequence[Any] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        problem: OSError | None = None
        for family, kind, protocol, _, place in found:
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # a family that this machine does not have
                problem = error
                continue
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, place)
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise problem or OSError(f"{host} has no address")

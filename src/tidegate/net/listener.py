"""Accepting connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from tidegate.errors import ProtocolError
from tidegate.net.descriptors import Reserve
from tidegate.net.proxied import read_origin
from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle
from tidegate.net.tls import describe_failure

if TYPE_CHECKING:
    from tidegate.net.connection import Connection

__all__ = ["Door", "Listener"]

logger = logging.getLogger("tidegate")

ACCEPTS_A_TURN = 32
"""Connections taken at a time, so that those already here, and other processes on the same socket, get their turn."""
PAUSE_SECONDS = 0.5
"""Between attempts while there are no file descriptors."""
Starting: TypeAlias = Coroutine[Any, Any, tuple[asyncio.Transport, Any]]
Start: TypeAlias = "asyncio.Task[tuple[asyncio.Transport, Any]]"
Make: TypeAlias = Callable[[], asyncio.BaseProtocol]
Admits: TypeAlias = Callable[[socket.socket, Any, int], bool]
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door(Protocol):
    """What connections are taken for."""

    name: str
    stats: Stats
    throttle: Throttle

    def make_connection(self, sock: socket.socket | None) -> asyncio.BaseProtocol:
        """Make one; the socket is where it may be written to directly, past the transport."""
        ...

    def give_up(self, connection: Any) -> None:
        """One that was made is never told of its connection: there was no TLS handshake."""


class Listener:
    """Takes connections from listening sockets and makes them an endpoint's.

    It accepts by itself, since asyncio's and uvloop's own servers throw connections away where there are no file
    descriptors left; here they wait in the kernel's queue, and another process on the same socket may take them.

    Args:
        endpoint: whose they are.
        context: gives the one with which the next connections are secure; None where they are not.
        handshake_seconds: until the TLS handshake must be done, and the PROXY header there.
        max_handshakes: connections that may be about that; over it the oldest is closed.
        admits: takes a connection that was accepted, the name of its other end, and how many others are on their way;
            says whether it is taken, and has closed it where it is not.
        proxy_protocol: each connection begins with a PROXY header, before TLS; the endpoint makes `Connection`s.
        reserve: some file descriptors are left to others; without it, none.
    """

    def __init__(
        self,
        endpoint: Door,
        sockets: Sequence[socket.socket],
        context: Callable[[], ssl.SSLContext] | None,
        *,
        handshake_seconds: float = 10,
        max_handshakes: int = 10_000,
        admits: Admits | None = None,
        proxy_protocol: bool = False,
        reserve: Reserve | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._sockets = list(sockets)
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._max_handshakes = max_handshakes
        self._admits = admits
        self._proxy_protocol = proxy_protocol
        self._reserve = reserve
        self._loop = asyncio.get_running_loop()
        self._starting: dict[Start, None] = {}  # in their order
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def close(self) -> None:
        """Accept no more. The sockets are closed here; where the supervisor holds them too, they go on listening."""
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        for pause in self._pauses.values():
            pause.cancel()
        self._sockets.clear()

    @property
    def busy(self) -> bool:
        """Whether connections are on their way from the system to the endpoint."""
        return bool(self._starting)

    def abandon(self) -> None:
        """Give those up."""
        for task in self._starting:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        context = self._context() if self._context is not None else None
        reserve = self._reserve
        if reserve is not None:
            reserve.look(listening.fileno())
        for _ in range(ACCEPTS_A_TURN):
            if reserve is not None and reserve.is_reached:
                self._pause(listening, os.strerror(errno.EMFILE))
                return
            try:
                sock, peer = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    if reserve is not None:
                        reserve.note(sys.maxsize)
                    self._pause(listening, error.strerror)
                    return
                continue  # that connection was gone before it was taken
            sock.setblocking(False)
            if reserve is not None:
                reserve.note(sock.fileno())
            if self._admits is not None and not self._admits(sock, peer, len(self._starting)):
                continue
            make = partial(self._endpoint.make_connection, sock if context is None else None)
            start = self._start_behind_proxy if self._proxy_protocol else self._start
            task = self._loop.create_task(start(sock, make, context))
            self._starting[task] = None
            task.add_done_callback(partial(self._started, sock))
            if len(self._starting) > self._max_handshakes:
                self._drop_oldest()

    def _start(self, sock: socket.socket, make: Make, context: ssl.SSLContext | None) -> Starting:
        if context is None:
            return self._loop.connect_accepted_socket(make, sock)
        return self._start_securely(sock, make, context)

    async def _start_securely(
        self, sock: socket.socket, make: Make, context: ssl.SSLContext
    ) -> tuple[asyncio.Transport, Any]:
        made: list[asyncio.BaseProtocol] = []
        peer = sock.getpeername()

        def note() -> asyncio.BaseProtocol:
            made.append(make())
            return made[0]

        try:
            return await self._loop.connect_accepted_socket(
                note, sock, ssl=context, ssl_handshake_timeout=self._handshake_seconds
            )
        except BaseException as error:
            for connection in made:
                self._endpoint.give_up(connection)
            if not isinstance(error, OSError):
                raise
            if isinstance(error, ConnectionAbortedError):  # as event loops tell that the time is over
                reason = f"no TLS handshake in {self._handshake_seconds:g} s"
                raise TimeoutError(f"{_name(peer)}: {reason}") from error
            raise ConnectionError(f"{_name(peer)}: {describe_failure(error)}") from error

    async def _start_behind_proxy(
        self, sock: socket.socket, make: Make, context: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, Any]:
        peer = sock.getpeername()
        try:
            origin = await read_origin(sock, self._handshake_seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{_name(peer)}: {error}") from error
        except (OSError, ProtocolError) as error:
            raise ConnectionError(f"{_name(peer)}: {error}") from error

        def make_it() -> asyncio.BaseProtocol:
            connection = make()
            if origin is not None:
                cast("Connection", connection).comes_from(origin)
            return connection

        return await self._start(sock, make_it, context)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._starting))
        del self._starting[oldest]
        oldest.cancel()
        endpoint = self._endpoint
        endpoint.stats.dropped_handshakes += 1
        endpoint.throttle.log(
            logging.WARNING, "%s: over %d handshakes: the oldest is dropped", endpoint.name, self._max_handshakes
        )

    def _started(self, sock: socket.socket, task: Start) -> None:
        self._starting.pop(task, None)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        sock.close()
        endpoint = self._endpoint
        if isinstance(error, OSError | ProtocolError):  # ssl.SSLError is one, and so is a time-out
            endpoint.stats.handshake_failures += 1
            endpoint.stats.late_handshakes += isinstance(error, TimeoutError)
            endpoint.throttle.log(logging.INFO, "%s: no connection: %s", endpoint.name, error)
        elif isinstance(error, Exception):  # from the constructor of a user's own protocol
            endpoint.stats.handler_errors += 1
            problem = f"{type(error).__name__}: {error}"
            endpoint.throttle.log(logging.ERROR, "%s: no connection: %s", endpoint.name, problem)

    def _pause(self, listening: socket.socket, reason: str | None) -> None:
        self._endpoint.stats.accept_pauses += 1
        self._endpoint.throttle.log(
            logging.ERROR,
            "%s: accepting pauses for %s s: %s. Raise the limit (ulimit -n) for more connections",
            self._endpoint.name,
            PAUSE_SECONDS,
            reason,
        )
        self._loop.remove_reader(listening.fileno())
        self._pauses[listening] = self._loop.call_later(PAUSE_SECONDS, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        del self._pauses[listening]
        self._loop.add_reader(listening.fileno(), self._accept, listening)


def _name(peer: Any) -> str:
    """How a log calls the other end of a socket."""
    return str(peer[0]) if isinstance(peer, tuple) else "unix"

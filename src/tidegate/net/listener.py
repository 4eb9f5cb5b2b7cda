"""Accepting connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle

__all__ = ["Listener"]

logger = logging.getLogger("tidegate")

ACCEPTS_A_TURN = 32
"""Connections taken at a time, so that those already here, and other processes on the same socket, get their turn."""
PAUSE_SECONDS = 0.5
"""Between attempts while there are no file descriptors."""
TLS_HANDSHAKE_SECONDS = 10
Start: TypeAlias = "asyncio.Task[tuple[asyncio.Transport, Any]]"
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door(Protocol):
    """What connections are taken for."""

    name: str
    stats: Stats
    throttle: Throttle

    def make_connection(self, sock: socket.socket | None) -> asyncio.BaseProtocol:
        """Make one; the socket is where it may be written to directly, past the transport."""
        ...


class Listener:
    """Takes connections from listening sockets and makes them an endpoint's.

    It accepts by itself, since asyncio's and uvloop's own servers throw connections away where there are no file
    descriptors left; here they wait in the kernel's queue, and another process on the same socket may take them.

    Args:
        context: gives the one with which the next connections are secure; None where they are not.
    """

    def __init__(
        self, endpoint: Door, sockets: Sequence[socket.socket], context: Callable[[], ssl.SSLContext] | None
    ) -> None:
        self._endpoint = endpoint
        self._sockets = list(sockets)
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._starting: set[Start] = set()
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
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._pause(listening, error)
                    return
                continue  # that connection was gone before it was taken
            sock.setblocking(False)
            start = self._loop.connect_accepted_socket(
                partial(self._endpoint.make_connection, sock if context is None else None),
                sock,
                ssl=context,
                ssl_handshake_timeout=None if context is None else TLS_HANDSHAKE_SECONDS,
            )
            task = self._loop.create_task(start)
            self._starting.add(task)
            task.add_done_callback(partial(self._started, sock))

    def _started(self, sock: socket.socket, task: Start) -> None:
        self._starting.discard(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        sock.close()
        endpoint = self._endpoint
        if isinstance(error, OSError):  # ssl.SSLError is one, and so is a time-out
            endpoint.stats.handshake_failures += 1
            endpoint.throttle.log(logging.INFO, "%s: no connection: %s", endpoint.name, error)
        elif isinstance(error, Exception):  # from the constructor of a user's own protocol
            endpoint.stats.handler_errors += 1
            problem = f"{type(error).__name__}: {error}"
            endpoint.throttle.log(logging.ERROR, "%s: no connection: %s", endpoint.name, problem)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        self._endpoint.stats.accept_pauses += 1
        self._endpoint.throttle.log(
            logging.ERROR,
            "%s: accepting pauses for %s s: %s. Raise the limit (ulimit -n) for more connections",
            self._endpoint.name,
            PAUSE_SECONDS,
            error.strerror,
        )
        self._loop.remove_reader(listening.fileno())
        self._pauses[listening] = self._loop.call_later(PAUSE_SECONDS, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        del self._pauses[listening]
        self._loop.add_reader(listening.fileno(), self._accept, listening)

"""What uvicorn does not bound: how long a request may take to come, how many connections have none, and its log."""

from __future__ import annotations

import logging
import time
from typing import Any

from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle

__all__ = ["MAX_WAITING", "REQUEST_SECONDS", "Waiting", "guarded", "throttle", "throttled"]

throttle = Throttle(logging.getLogger("tidegate"))
"""Of the process, as uvicorn's log is."""

REQUEST_SECONDS = 10
"""For a request's head to come, once its connection is there or its first byte is."""
MAX_WAITING = 1_000
"""Connections without a request; over that the oldest goes, since one that means well sends it at once."""


class Waiting:
    """The connections of a server whose request has not come.

    Args:
        stats: where those are counted that are closed.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._since: dict[Any, float] = {}  # the oldest first

    def add(self, connection: Any) -> None:
        """One waits for a request, or for the rest of it."""
        if connection in self._since:
            return
        self._since[connection] = time.monotonic()
        if len(self._since) > MAX_WAITING:
            self._stats.dropped_handshakes += 1
            self._drop(next(iter(self._since)))

    def discard(self, connection: Any) -> None:
        """Its request is there, or it has ended."""
        self._since.pop(connection, None)

    def sweep(self) -> None:
        """Close those that have taken too long."""
        latest = time.monotonic() - REQUEST_SECONDS
        for connection, since in tuple(self._since.items()):
            if since > latest:
                return
            self._stats.late_handshakes += 1
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        del self._since[connection]
        connection.transport.abort()


def guarded(waiting: Waiting) -> type:
    """uvicorn's protocol, whose connections are known to wait."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Guarded(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            waiting.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.discard(self)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
                waiting.discard(self)
            else:
                waiting.add(self)

    return Guarded


def throttled(record: logging.LogRecord) -> bool:
    """A filter of uvicorn's log: of the warnings that each wrong request makes, a few a second are written."""
    if record.levelno != logging.WARNING:
        return True
    throttle.log(record.levelno, "http: %s", record.getMessage())
    return False

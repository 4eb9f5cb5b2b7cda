"""The events of one connection that wait: for an `async` callback under way, or for `resume()`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.net.connection import Connection

__all__ = ["Mailbox"]


class Mailbox:
    """Runs a connection's callbacks one after the other. Exists only while there is something to wait for."""

    __slots__ = ("_connection", "_events", "_task")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._events: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._task: asyncio.Future[Any] | None = None

    def __len__(self) -> int:
        return len(self._events)

    def put(self, callback: Callable[..., Any], *args: Any) -> None:
        """Have something called after all that is already here."""
        self._events.append((callback, args))

    def wait_for(self, callback: Callable[..., Any], awaitable: Awaitable[Any]) -> None:
        """Hold everything until what a callback returned is done."""
        self._task = self._connection.endpoint.follow(self._connection, callback, awaitable)
        self._task.add_done_callback(self._done)

    def _done(self, _: asyncio.Future[Any]) -> None:
        self._task = None
        self.run()

    def run(self) -> None:
        """Call what waits, until something is to be awaited or the connection is paused."""
        connection = self._connection
        while self._task is None and self._events and not connection.held:
            callback, args = self._events.popleft()
            awaitable = connection.endpoint.fire(callback, connection, *args)
            if awaitable is not None:
                self.wait_for(callback, awaitable)
        connection.mailbox_ran(self._task is None and not self._events)

    def drop(self, callback: Callable[..., Any] | None) -> int:
        """Forget what waits for a callback, and give how many that were."""
        before = len(self._events)
        self._events = deque(event for event in self._events if event[0] is not callback)
        return before - len(self._events)

    @property
    def busy(self) -> bool:
        """Whether a callback is under way."""
        return self._task is not None

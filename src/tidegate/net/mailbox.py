"""The events of one connection that wait: for an `async` callback under way, or for `resume()`."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.net.inbox import Inbox

__all__ = ["Mailbox"]


class Mailbox:
    """Runs a connection's callbacks one after the other. Exists only while there is something to wait for."""

    __slots__ = ("_connection", "_events", "busy")

    def __init__(self, connection: Inbox) -> None:
        self._connection = connection
        self._events: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self.busy = False  # a callback is under way

    def __len__(self) -> int:
        return len(self._events)

    def put(self, callback: Callable[..., Any], *args: Any) -> None:
        """Have something called after all that is already here."""
        self._events.append((callback, args))

    def wait_for(self, callback: Callable[..., Any], awaitable: Awaitable[Any]) -> None:
        """Hold everything until what a callback returned is done."""
        self.busy = True
        task = start_task(self._drain(callback, awaitable))
        if not task.done():
            tasks = self._connection.endpoint.tasks
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _drain(self, callback: Callable[..., Any], awaitable: Awaitable[Any]) -> None:
        """Wait for a callback, and then call in the same task what waits: a task for each would cost more than most
        callbacks do."""
        connection = self._connection
        waiting: Awaitable[Any] | None = awaitable
        try:
            while waiting is not None:
                try:
                    await waiting
                except Exception as error:
                    connection.endpoint.report(connection, callback, error)
                waiting = None
                while waiting is None and self._events and not connection.held:
                    callback, args = self._events.popleft()
                    waiting = connection.endpoint.fire(callback, connection, *args)
                connection.mailbox_ran(False)
        finally:
            self.busy = False
            self.run()  # what is left where the task was cancelled

    def run(self) -> None:
        """Call what waits, until something is to be awaited or the connection is paused."""
        connection = self._connection
        while not self.busy and self._events and not connection.held:
            callback, args = self._events.popleft()
            awaitable = connection.endpoint.fire(callback, connection, *args)
            if awaitable is not None:
                self.wait_for(callback, awaitable)
        if not self.busy:
            connection.mailbox_ran(not self._events)

    def drop(self, callback: Callable[..., Any] | None) -> int:
        """Forget what waits for a callback, and give how many that were."""
        before = len(self._events)
        self._events = deque(event for event in self._events if event[0] is not callback)
        return before - len(self._events)


def start_task(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a coroutine; where Python can, at once up to the first time that it waits, which spares most the loop."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)

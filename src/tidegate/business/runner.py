"""Runs async handlers: each in a task, and those that do not wait one after the other in the same one.

A task for each event would cost more than most handlers do. So a handler's coroutine is stepped by hand inside a task
that looks after the next ones too; where it has to wait, the task becomes its own, and another goes on with the rest.
What a handler sees is a task as any other (`asyncio.current_task`, `asyncio.timeout`), and its own context variables.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context, copy_context
from typing import Any

from tidegate.business.job import Call, Job

__all__ = ["Runner"]

logger = logging.getLogger("tidegate")

MAX_BURST = 256
"""Tasks that are begun together while handlers wait one after the other."""


class Runner:
    """One worker's, of one loop.

    Args:
        waits: is called when a handler waits for the first time.
        ended: is called when one has ended that waited, with what it raised.
        returned: is called when one has ended that did not, with what it raised.

    Attributes:
        waiting: those that wait for something, the oldest first.
        stepped: the call whose code runs at this moment.
    """

    def __init__(
        self,
        waits: Callable[[Call], None],
        ended: Callable[[Call, BaseException | None], None],
        returned: Callable[[Call, BaseException | None], None],
    ) -> None:
        self._waits = waits
        self._ended = ended
        self._returned = returned
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active: set[asyncio.Task[None]] = set()  # those that look after the ready ones
        self._burst = 1
        self.waiting: dict[Job, None] = {}
        self.stepped: Call | None = None

    def put(self, call: Call) -> None:
        """Have a handler's coroutine run in one of the loop's next turns."""
        self._ready.append(call)
        if not self._active:
            self._spawn()

    def cancel(self) -> int:
        """Begin no more, and cancel what waits; gives how many handlers that were."""
        count = len(self._ready) + len(self.waiting)
        for call in self._ready:
            if call.coroutine is not None:
                call.coroutine.close()
        self._ready.clear()
        for task in tuple(self._tasks):
            task.cancel()
        return count

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Those that there are."""
        return frozenset(self._tasks)

    def _spawn(self) -> None:
        task = self._loop.create_task(self._run())
        self._tasks.add(task)
        self._active.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._active.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("running handlers failed", exc_info=error)
        if self._ready and not self._active:
            self._spawn()

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        ready, active, returned = self._ready, self._active, self._returned
        while ready and task in active:
            self.stepped = call = ready.popleft()
            assert call.coroutine is not None
            context = copy_context()
            try:
                first = context.run(call.coroutine.send, None)
            except StopIteration:
                self.stepped = None
                self._burst = 1
                others = len(ready)
                returned(call, None)
                if len(ready) > others > 0:  # the client's next, which came before what is behind
                    ready.appendleft(ready.pop())
                continue
            except (Exception, asyncio.CancelledError) as error:
                self.stepped = None
                returned(call, error)
                continue
            self.stepped = None
            self._waits(call)
            self._leave_rest(task)
            problem = await self._wait(call, context, first)
            if not active:
                active.add(task)  # before the client's next event asks for a task
            self._ended(call, problem)

    def _leave_rest(self, task: asyncio.Task[None]) -> None:
        """This task waits: have others run what is ready, more of them the more handlers waited in a row."""
        self._active.discard(task)
        for _ in range(min(len(self._ready), self._burst) - len(self._active)):
            self._spawn()
        self._burst = min(self._burst * 2, MAX_BURST)

    async def _wait(self, call: Call, context: Context, first: Any) -> BaseException | None:
        """Run a handler that waits to its end; gives what it raised."""
        job = Job(call)
        job.began = time.monotonic()
        self.waiting[job] = None
        try:
            await _Rest(self, call, context, first)
        except (Exception, asyncio.CancelledError) as error:
            return error
        finally:
            del self.waiting[job]
        return None


class _Rest:
    """A coroutine from its first wait on, in its own context."""

    __slots__ = ("_call", "_context", "_first", "_runner")

    def __init__(self, runner: Runner, call: Call, context: Context, first: Any) -> None:
        self._runner = runner
        self._call = call
        self._context = context
        self._first = first

    def __await__(self) -> Generator[Any, Any, None]:
        runner, call, run = self._runner, self._call, self._context.run
        coroutine = call.coroutine
        assert coroutine is not None
        what = self._first
        while True:
            try:
                value = yield what
            except BaseException as error:
                step: Callable[[Any], Any] = coroutine.throw
                argument: Any = error
            else:
                step, argument = coroutine.send, value
            runner.stepped = call
            try:
                what = run(step, argument)
            except StopIteration:
                return
            finally:
                runner.stepped = None

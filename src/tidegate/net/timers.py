"""`every` and `after`: functions called later, in the running worker's loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Timer", "after", "every", "timers_of"]

logger = logging.getLogger("tidegate")

_live: weakref.WeakSet[Timer] = weakref.WeakSet()  # a loop holds those that it has to call


class Timer:
    """A function that is to be called, once or again and again.

    Attributes:
        task: of a call that is under way, where the function is `async`.
    """

    def __init__(self, seconds: float, repeat: bool, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if seconds < 0 or (repeat and seconds == 0):
            raise ValueError(f"a timer needs seconds above 0, not {seconds!r}")
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("timers run inside a worker: start them in on_worker_start or later") from None
        self._seconds = seconds
        self._repeat = repeat
        self._fn = fn
        self._args = args
        self.task: asyncio.Future[Any] | None = None
        self._cancelled = False
        self._due = self._loop.time() + seconds
        self._handle = self._loop.call_at(self._due, self._call)
        _live.add(self)

    def cancel(self) -> None:
        """Call it no more. A call under way goes on."""
        self._cancelled = True
        self._handle.cancel()

    def _call(self) -> None:
        try:
            result = self._fn(*self._args)
            if inspect.isawaitable(result):
                self.task = asyncio.ensure_future(result)
                self.task.add_done_callback(self._done)
                return
        except Exception:
            logger.exception("the timer's function %s failed", _name(self._fn))
        self._again()

    def _done(self, task: asyncio.Future[Any]) -> None:
        self.task = None
        if not task.cancelled() and (error := task.exception()):
            logger.error("the timer's function %s failed", _name(self._fn), exc_info=error)
        self._again()

    def _again(self) -> None:
        """Plan the next call: on the beat, without catching up on what a slow function missed."""
        if not self._repeat or self._cancelled:
            return
        now = self._loop.time()
        self._due += self._seconds
        if self._due < now:
            self._due += ((now - self._due) // self._seconds + 1) * self._seconds
        self._handle = self._loop.call_at(self._due, self._call)


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__qualname__", repr(fn))


def every(seconds: float, fn: Callable[..., Any], *args: Any) -> Timer:
    """Call a function every so many seconds, the first time after as many.

    It may be `def` or `async def`; a call that takes longer than the interval is not overtaken by the next. What it
    raises is logged, and the timer goes on.
    """
    return Timer(seconds, True, fn, args)


def after(seconds: float, fn: Callable[..., Any], *args: Any) -> Timer:
    """Call a function once, after so many seconds; it may be `def` or `async def`."""
    return Timer(seconds, False, fn, args)


def timers_of(loop: asyncio.AbstractEventLoop) -> set[Timer]:
    """The timers that a loop may have to call, so that what ends in it can cancel those that it has started."""
    return {timer for timer in _live if timer._loop is loop}

"""Calls from threads into the loop's, in the order in which each thread makes them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Handover"]

logger = logging.getLogger("tidegate")

LIMIT = 50_000
"""Calls that may wait; a thread that would add to them waits, until the loop has taken some."""
WAIT_SECONDS = 30
"""That it waits at most: a loop that is blocked for so long may be blocked by what waits for this thread."""


class Handover:
    """One loop's; made in it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._is_scheduled = False
        self.thread = threading.get_ident()

    def call(self, fn: Callable[..., Any], *args: Any) -> None:
        """Have a function called by the loop, from any thread; where the loop has ended, nobody does."""
        if len(self._calls) >= LIMIT and threading.get_ident() != self.thread:
            self._wait()
        self._calls.append((fn, args))
        if not self._is_scheduled:
            self._is_scheduled = True
            try:
                self._loop.call_soon_threadsafe(self._run)
            except RuntimeError:
                self._calls.clear()

    def call_here(self, fn: Callable[..., Any], *args: Any) -> None:
        """Call a function now, or have the loop call it where this is another thread."""
        if threading.get_ident() == self.thread:
            fn(*args)
        else:
            self.call(fn, *args)

    def check_loop(self, name: str) -> None:
        """See that this is the loop's thread.

        Raises:
            RuntimeError: it is another, where nothing can be awaited.
        """
        if threading.get_ident() != self.thread:
            raise RuntimeError(f"{name} is awaited in the worker's loop; in a thread, call sync.{name} of the worker")

    def _wait(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self._calls) >= LIMIT and time.monotonic() < deadline and not self._loop.is_closed():
            time.sleep(0.001)

    def _run(self) -> None:
        self._is_scheduled = False  # before anything is taken: what is added from now on is seen, or calls again
        for _ in range(len(self._calls)):
            fn, args = self._calls.popleft()
            try:
                fn(*args)
            except Exception:
                logger.exception("what a thread handed over failed")
        if self._calls and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

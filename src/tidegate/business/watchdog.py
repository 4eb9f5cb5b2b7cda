"""Tells of handlers that take long, while they do: with their stack, once each.

A thread of its own looks a few times within ``handler_timeout``, so that it also sees what blocks the loop, and an
event costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback

from tidegate.business.dispatcher import Dispatcher
from tidegate.business.job import Call, name_of
from tidegate.wire.client_id import format_client_id
from tidegate.wire.packet import Packet
from tidegate.wire.runs import Run

__all__ = ["Watchdog"]

logger = logging.getLogger("tidegate")

LOOKS = 4
"""Within the time that a handler has."""
LONGEST_LOOK = 1.0
"""Seconds."""


class Watchdog:
    """One worker's.

    Args:
        seconds: that a handler may take.

    Attributes:
        timeouts: handlers that took longer.
    """

    def __init__(self, dispatcher: Dispatcher, seconds: float) -> None:
        self.timeouts = 0
        self._dispatcher = dispatcher
        self._seconds = seconds
        self._pause = min(LONGEST_LOOK, seconds / LOOKS)
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._busy: Packet | Run | Call | None = None  # what ran in the loop at the last look
        self._messages = 0  # how many had come until then
        self._since = 0.0
        self._told: Packet | Run | Call | None = None  # what blocked it last
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"{dispatcher.name}-watchdog", daemon=True)
        self._thread.start()
        self._timer = self._loop.call_later(self._pause, self._look_at_waiting)

    def stop(self) -> None:
        """Look no more."""
        self._end.set()
        self._timer.cancel()
        self._thread.join(LONGEST_LOOK)

    # In the thread

    def _watch(self) -> None:
        while not self._end.wait(self._pause):
            now = time.monotonic()
            self._look_at_loop(now)
            self._look_at_threads(now)

    def _look_at_loop(self, now: float) -> None:
        busy: Packet | Run | Call | None = self._dispatcher.busy
        messages = self._dispatcher.counts.messages
        if busy is None or busy is not self._busy or messages != self._messages:
            if busy is self._told:  # the handler of the next message in a run
                self._told = None
            self._busy, self._messages, self._since = busy, messages, now
        elif now - self._since >= self._seconds and self._told is not busy:
            self._told = busy
            if isinstance(busy, Call):
                client_id, fn = busy.client.id, busy.fn
            else:
                client_id = format_client_id(busy[5], busy[6], busy[1])
                fn = self._dispatcher.handlers[busy[0]]
            self._tell(client_id, name_of(fn), "blocks the loop", _stack_of(self._loop_thread))

    def _look_at_threads(self, now: float) -> None:
        pool = self._dispatcher.pool
        for thread, job in pool.running.copy().items() if pool is not None else ():
            if now - job.began >= self._seconds and not job.is_reported:
                job.is_reported = True
                self._tell(job.call.client.id, name_of(job.call.fn), "runs in its thread", _stack_of(thread))

    # In the loop

    def _look_at_waiting(self) -> None:
        late = time.monotonic() - self._seconds
        for job in self._dispatcher.runner.waiting:
            if job.began > late:  # and those behind it began later
                break
            if not job.is_reported:
                job.is_reported = True
                if job.call is not self._told:
                    self._tell(job.call.client.id, name_of(job.call.fn), "waits", job.stack())
        self._timer = self._loop.call_later(self._pause, self._look_at_waiting)

    def _tell(self, client_id: str, handler: str, what: str, stack: str) -> None:
        self.timeouts += 1
        logger.error(
            "%s: client %s: %s has not ended for %g seconds, it %s here:\n%s",
            self._dispatcher.name,
            client_id,
            handler,
            self._seconds,
            what,
            stack.rstrip(),
        )


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame is not None else "it has just ended"

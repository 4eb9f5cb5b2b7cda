"""Threads for `def` handlers that block."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tidegate.business.handover import Handover
from tidegate.business.job import Job

__all__ = ["Pool"]


class Pool:
    """One worker's. A job is begun when a thread is free for it, so that what is begun is known in the loop at once.

    Args:
        begin: is called, in the loop, when a job is given to a thread.
        done: is called, in the loop, with what the handler returned and what it raised.

    Attributes:
        running: the jobs under way, by the thread.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        handover: Handover,
        begin: Callable[[Job], None],
        done: Callable[[Job, Any, BaseException | None], None],
    ) -> None:
        self._begin = begin
        self._done = done
        self._handover = handover
        self._ready: deque[Job] = deque()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._free = self._count = threads
        self.running: dict[int, Job] = {}
        for index in range(threads):
            # Daemons, since one whose handler never returns must not keep the process from ending.
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True).start()

    def put(self, job: Job) -> None:
        """Have a job run as soon as a thread is free."""
        self._ready.append(job)
        self._give()

    def stop(self) -> int:
        """Begin no more, and end each thread after its job; gives how many handlers were under way or ready."""
        count = len(self._ready) + self._count - self._free
        self._ready.clear()
        for _ in range(self._count):
            self._jobs.put(None)
        return count

    def _give(self) -> None:
        while self._free and self._ready:
            self._free -= 1
            job = self._ready.popleft()
            self._begin(job)
            self._jobs.put(job)

    def _work(self) -> None:
        thread = threading.get_ident()
        while (job := self._jobs.get()) is not None:
            job.began = time.monotonic()
            self.running[thread] = job
            result, problem = None, None
            try:
                result = job.call.fn(*job.args)
            except BaseException as error:  # also what would end the thread: it is the handler's alone
                problem = error
            del self.running[thread]
            self._handover.call(self._finished, job, result, problem)
            del job, result, problem

    def _finished(self, job: Job, result: Any, error: BaseException | None) -> None:
        self._free += 1
        self._done(job, result, error)
        self._give()

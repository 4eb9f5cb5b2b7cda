"""Jobs in threads that say how far they are: one at a time for each user. Neither Flask nor Tidegate is needed here."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

MAX_RUNNING = 8
MAX_KNOWN = 1000  # users whose latest job is remembered

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """No job can be started now; the text is for the person who wants one."""


@dataclass(frozen=True)
class Progress:
    """How far a job is, as pages get it."""

    uid: str
    job: int  # grows from job to job, also when the site is started anew
    percent: str = "0%"
    state: Literal["running", "done", "failed"] = "running"


class Jobs:
    """The jobs of a process.

    Args:
        report: called in a job's thread whenever it has come further. It should not raise: the job would have failed.
    """

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._latest: dict[str, Progress] = {}  # by uid; who has not started one for the longest time is first
        self._lock = threading.Lock()

    def latest(self, uid: str) -> Progress | None:
        """How far the user's latest job is."""
        return self._latest.get(uid)

    def start(self, uid: str, work: Iterable[int]) -> Progress:
        """Run a job: each value of ``work`` is the part that is done, in per cent.

        Raises:
            BusyError: the user has one that runs, or too many run at all.
        """
        with self._lock:
            running = [progress.uid for progress in self._latest.values() if progress.state == "running"]
            if uid in running:
                raise BusyError("A job of yours is running already.")
            if len(running) >= MAX_RUNNING:
                raise BusyError("Too many jobs are running. Try again later.")
            self._latest.pop(uid, None)
            if len(self._latest) >= MAX_KNOWN:
                del self._latest[next(known for known in self._latest if known not in running)]
            progress = self._latest[uid] = Progress(uid, job=time.time_ns() // 1_000_000)
        # A daemon: when the site stops it does not wait for jobs, as it would for those of a ThreadPoolExecutor.
        threading.Thread(target=self._run, args=(progress, work), daemon=True).start()
        return progress

    def _run(self, progress: Progress, work: Iterable[int]) -> None:
        try:
            self._report(progress)
            for percent in work:
                if f"{percent}%" != progress.percent:
                    progress = self._tell(replace(progress, percent=f"{percent}%"))
        except Exception:
            logger.exception("the job of user %s has failed", progress.uid)
            self._tell(replace(progress, state="failed"))
        else:
            self._tell(replace(progress, percent="100%", state="done"))

    def _tell(self, progress: Progress) -> Progress:
        self._latest[progress.uid] = progress  # first: a page that is opened now shows it, whether it is pushed or not
        self._report(progress)
        return progress

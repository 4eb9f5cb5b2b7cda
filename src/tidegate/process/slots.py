"""A place in the app for one process, and the process that fills it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from tidegate.errors import ConfigurationError, TidegateError
from tidegate.process.channel import Channel, send_first
from tidegate.process.launch import CHILD, command

__all__ = ["Process", "Slot", "StartError", "describe_exit", "pause", "stop_in_stages"]

STEADY_SECONDS = 10
"""A process that lived this long did not die of its start."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds before a process that keeps dying is started again: double after each time."""
OVERTIME = 1
"""Seconds over its time after which a process that was told to stop is killed."""
LATER_SHARE = 0.2
"""Of the time for a whole stop, what is kept for each stage that is still to come."""
HELD_SECONDS = 1
"""That an ended process's channel may stay open."""

Listen = Callable[["Process", dict[str, Any]], Awaitable[Sequence[socket.socket]]]
Left = Callable[["Process", str], None]


class StartError(TidegateError):
    """A process did not start.

    Attributes:
        traceback: of the user's code; None where the message says it all.
        is_configuration: a setting can't be carried out, so that trying again is of no use.
    """

    def __init__(self, message: str, traceback: str | None = None, is_configuration: bool = False) -> None:
        super().__init__(message)
        self.traceback = traceback
        self.is_configuration = is_configuration


class Process:
    """A child process and the channel to it.

    Args:
        title: how logs and `ps` call it.
        order: the first message to it.
        listen: gives the sockets that it asks for.
        left: is told of an address that it has closed.
        stage: when the app stops, those of a lower one have ended before this is told.
    """

    def __init__(
        self,
        title: str,
        order: dict[str, Any],
        listen: Listen | None = None,
        left: Left | None = None,
        stage: int = 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            # A process group of its own: Ctrl-C in the terminal is for the supervisor, which then stops its children.
            try:
                self._popen = subprocess.Popen(
                    command(CHILD, theirs.fileno(), title),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    process_group=0,
                )
            except OSError:
                ours.close()
                raise
        with contextlib.suppress(OSError):  # it has died already, as will be noticed
            send_first(ours, {"title": title, **order})
        self.title = title
        self.stage = stage
        self.started = time.monotonic()
        self.stopping = False
        self.ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._listen = listen
        self._left = left
        self.channel = Channel(ours, self._handle, self._ended)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def configuration_problem(self) -> ConfigurationError | None:
        """What is wrong with its settings, where that kept it from starting."""
        problem = self.ready.exception() if self.ready.done() and not self.ready.cancelled() else None
        is_configuration = isinstance(problem, StartError) and problem.is_configuration
        return ConfigurationError(str(problem)) if is_configuration else None

    async def _handle(self, op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
        match op:
            case "listen" if self._listen is not None:
                return None, await self._listen(self, parameters)
            case "left" if self._left is not None:
                self._left(self, parameters["address"])
            case "ready" | "topology" if not self.ready.done():
                self.ready.set_result(parameters)
            case "failed" if not self.ready.done():
                self.ready.set_exception(StartError(**parameters))
        return None, ()

    def reap(self) -> bool:
        """See whether it has ended."""
        code = self._popen.poll()
        if code is None or self.exited.done():
            return False
        self.exited.set_result(code)
        if self.channel.is_open:
            # What it said last is still to be read. A process that it has started may hold the other end for longer.
            asyncio.get_running_loop().call_later(HELD_SECONDS, self._end)
        else:
            self._end()
        return True

    def _ended(self) -> None:
        if self.exited.done():
            self._end()

    def _end(self) -> None:
        self.channel.close()
        if not self.ready.done():
            how = describe_exit(self.exited.result())
            self.ready.set_exception(StartError(f"{self.title} ended at its start: {how}"))
        if not self.ready.cancelled():
            self.ready.exception()  # nobody may be waiting for it

    async def wait_ready(self, seconds: float) -> dict[str, Any]:
        """Wait until it serves, or has said what it was asked.

        Raises:
            StartError: it does not.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self.ready), seconds)
        except TimeoutError:
            raise StartError(f"{self.title} was not ready after {seconds:.0f} seconds") from None

    async def stop(self, seconds: float, **how: Any) -> None:
        """Have it stop, and kill it when the time is over."""
        self.stopping = True
        self.channel.tell("stop", seconds=seconds, **how)
        try:
            await asyncio.wait_for(asyncio.shield(self.exited), seconds + OVERTIME)
        except TimeoutError:
            self.kill()
            await self.exited

    def kill(self) -> None:
        """End it at once."""
        if not self.exited.done():
            self._popen.send_signal(signal.SIGKILL)


class Slot:
    """A worker's n-th process, whichever that is at the time.

    Attributes:
        row: of the topology, with which its processes are started.
    """

    def __init__(self, worker: str, index: int) -> None:
        self.worker = worker
        self.index = index
        self.row: dict[str, Any] = {}
        self.process: Process | None = None
        self.exits: Counter[int] = Counter()
        self.deaths_at_start = 0
        self.restart: asyncio.TimerHandle | None = None
        self.removed = False

    @property
    def title(self) -> str:
        """How logs and `ps` call it."""
        return f"{self.worker}#{self.index}"

    def note_death(self, process: Process) -> float:
        """Count it; gives the seconds before the next try."""
        if time.monotonic() - process.started < STEADY_SECONDS:
            return self.note_failed_start()
        self.deaths_at_start = 0
        return 0.0

    def note_failed_start(self) -> float:
        """Count it; gives the seconds before the next try."""
        self.deaths_at_start += 1
        return pause(self.deaths_at_start)

    def cancel_restart(self) -> None:
        """Do not start it by itself."""
        if self.restart is not None:
            self.restart.cancel()
            self.restart = None


async def stop_in_stages(processes: Collection[Process], seconds: float, graceful: bool) -> None:
    """Have all of an app's processes stop, a stage after the other, within so many seconds in all."""
    deadline = time.monotonic() + seconds
    stages = sorted({process.stage for process in processes})
    for later, stage in zip(reversed(range(len(stages))), stages, strict=True):
        kept = later * LATER_SHARE * seconds + (OVERTIME if later else 0)
        left = max(0.0, deadline - kept - time.monotonic())
        members = [process for process in processes if process.stage == stage]
        await asyncio.gather(*(process.stop(left, graceful=graceful, whole=True) for process in members))


def pause(deaths: int) -> float:
    """Seconds before a process is started again that died so many times in a row soon after its start."""
    if deaths <= 1:
        return 0.0
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(deaths - 2, 20))


def describe_exit(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"

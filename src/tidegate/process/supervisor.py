"""The supervisor: starts every process of an app, restarts what dies, and carries out commands."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from tidegate.errors import ConfigurationError, TidegateError
from tidegate.process import report
from tidegate.process.control import ControlServer
from tidegate.process.instance import Instance
from tidegate.process.launch import Launch
from tidegate.process.ports import Ports
from tidegate.process.reload import reload
from tidegate.process.slots import Process, Slot, StartError, describe_exit, stop_in_stages

__all__ = ["Supervisor"]

logger = logging.getLogger("tidegate")

T = TypeVar("T")

PROBE_SECONDS = 60
START_SECONDS = 60
STOP_SECONDS = 5
"""Until a process that was told to stop is killed."""
GRACEFUL_SECONDS = 30
"""The same where work in progress may finish."""


class StoppedError(TidegateError):
    """The app was stopped before it was done."""


class Supervisor:
    """Runs one app.

    Args:
        launch: which.
        read_config: gives the TOML file's content, at the start and at each reload.
        started: called once every process serves, or has failed to, with a row for each worker: what listens where;
            and with what keeps a process from serving, if anything.
    """

    def __init__(
        self,
        launch: Launch,
        read_config: Callable[[], dict[str, Any]],
        started: Callable[[list[dict[str, Any]], str | None], None],
    ) -> None:
        self.launch = launch
        self.config: dict[str, Any] = {}
        self.started = time.time()
        self.slots: dict[tuple[str, int], Slot] = {}
        self.topology: dict[str, dict[str, Any]] = {}
        self.ports = Ports()
        self.processes: set[Process] = set()
        self.restarting = False  # whether it is to be started again after its end
        self._read_config = read_config
        self._started = started
        self._failure: ConfigurationError | None = None
        self._is_started = False
        self._instance = Instance.of(launch.target, launch.name)
        self._control = ControlServer(self._command)
        self._changing = asyncio.Lock()  # held while processes are started or replaced
        self._stop: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()

    # Life

    async def run(self) -> None:
        """Start the app and keep it until it is stopped.

        Raises:
            StartError: its code does not import.
            ConfigurationError: it can't be started as it is.
        """
        self._handle_signals()
        try:
            await self._control.start(self._instance.socket)
            try:
                await self._unless_stopped(self._begin())
            except StoppedError:
                return
            graceful = await self._stop
            await self._stop_all(graceful)
            if self._failure is not None:
                raise self._failure
        finally:
            for process in self.processes:
                process.kill()
            await asyncio.gather(*(process.exited for process in self.processes))
            self.ports.close()
            await self._control.close()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                loop.add_signal_handler(number, self._stop_now_or_harder)
        loop.add_signal_handler(signal.SIGQUIT, self._stop_now_or_harder, True)
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._in_background(self._reload_logged()))

    async def _begin(self) -> None:
        async with self._changing:
            self.config, self.topology = await self.probe()
            self.ports.open_mains(self.topology)
            for worker in self.topology.values():
                for index in range(worker["count"]):
                    slot = self.slot(worker["name"], index)
                    slot.row = worker
                    self.fill(slot, first=True)
        self._in_background(self._report_start())
        if self.launch.watch:
            self._in_background(self._watch())

    def _stop_now_or_harder(self, graceful: bool = False) -> None:
        self.restarting = False
        if self._stop.done():
            for process in self.processes if not graceful else ():  # asked again: at once
                process.kill()
        else:
            logger.info("stopping")
            self._stop.set_result(graceful)

    def _give_up(self, problem: ConfigurationError) -> None:
        if not self._stop.done():
            self._failure = problem
            self._stop.set_result(False)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that is given up where the app is stopped meanwhile.

        Raises:
            StoppedError: it was.
        """
        task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait((task, self._stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._stop.done():
                task.cancel()
        if self._stop.done():
            await asyncio.gather(task, return_exceptions=True)
            raise StoppedError("the app was stopped meanwhile")
        return task.result()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()):
                logger.error("the supervisor failed to do something", exc_info=error)

        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(done)

    async def probe(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Have a process import the app and say what it consists of; gives the configuration and workers by name.

        Raises:
            StartError: it does not import.
            ConfigurationError: the configuration file can't be read.
        """
        config = self._read_config()
        order = {"op": "probe", "config": config, "target": _fields(self.launch)}
        try:
            process = Process(f"{self.launch.name} probe", order)
        except OSError as error:
            raise StartError(f"no process can be started: {error.strerror}") from error
        self.processes.add(process)
        try:
            app = (await process.wait_ready(PROBE_SECONDS))["app"]
        finally:
            process.stopping = True
            process.kill()
        return config, {worker["name"]: worker for worker in app["workers"]}

    async def _report_start(self) -> None:
        """Wait for all processes, and tell; a setting that can't be carried out ends it all."""
        problem = None
        for slot in tuple(self.slots.values()):
            process = slot.process
            if process is None:
                continue
            try:
                await process.wait_ready(START_SECONDS)
            except StartError as error:
                if process.configuration_problem is not None:
                    self._give_up(process.configuration_problem)
                    return
                problem = problem or f"{slot.title}: {error}"
        self._is_started = True
        rows = await report.listeners(self)
        if not self._stop.done():
            self._started(rows, problem)

    # Processes

    def slot(self, worker: str, index: int) -> Slot:
        """The place of a worker's n-th process."""
        return self.slots.setdefault((worker, index), Slot(worker, index))

    def start(self, slot: Slot, row: dict[str, Any], first: bool = False) -> Process:
        """Start a process for a place, without putting it there.

        Args:
            row: of the topology, for that process.
            first: the app starts as a whole.

        Raises:
            OSError: the system has no more of them.
        """

        async def listen(process: Process, asked: dict[str, Any]) -> Sequence[socket.socket]:
            return self.ports.give(slot, process, asked["address"], asked["reuse_port"])

        def left(process: Process, address: str) -> None:
            self.ports.left(process, address, self.processes)

        order = {
            "op": "start",
            "target": _fields(self.launch),
            "config": self.config,
            "row": row,
            "first": first,
            "index": slot.index,
            "quiet": not self._is_started,  # what is wrong with its settings is said here
        }
        process = Process(slot.title, order, listen, left, row.get("stage", 0))
        self.processes.add(process)
        return process

    def fill(self, slot: Slot, first: bool = False) -> None:
        """Start a slot's process."""
        slot.restart = None
        try:
            slot.process = self.start(slot, slot.row, first)
        except OSError as error:  # no memory or process table full: as if it had died
            logger.error("%s can't be started: %s", slot.title, error)
            slot.deaths_at_start += 1
            slot.restart = asyncio.get_running_loop().call_later(1, self.fill, slot)

    def _reap(self) -> None:
        for process in tuple(self.processes):
            if process.reap():
                self.processes.discard(process)
                # What it said last, and the system has told us of as well, is heard first.
                asyncio.get_running_loop().call_soon(self._ended, process)

    def _ended(self, process: Process) -> None:
        for slot in self.slots.values():
            if slot.process is process:
                self.died(slot, process)

    def died(self, slot: Slot, process: Process) -> None:
        """A place's process has ended; it gets another unless that was wanted."""
        code = process.exited.result()
        slot.exits[code] += 1
        slot.process = None
        if process.stopping or self._stop.done() or slot.removed:
            return
        problem = process.configuration_problem
        if problem is not None and not self._is_started:  # a start that can't succeed ends
            self._give_up(problem)
            return
        delay = slot.note_death(process)
        when = "now" if not delay else f"in {delay:g} s"
        logger.warning("%s (pid %s) died, %s; starting it again %s", slot.title, process.pid, describe_exit(code), when)
        slot.restart = asyncio.get_running_loop().call_later(delay, self.fill, slot)

    async def _stop_all(self, graceful: bool) -> None:
        async with self._changing:
            for slot in self.slots.values():
                slot.removed = True
                slot.cancel_restart()
            self.ports.close()  # whoever comes is refused at once, and may go elsewhere
            await stop_in_stages(self.processes, self._stop_seconds(graceful), graceful)

    def _stop_seconds(self, graceful: bool) -> float:
        """Until processes that do not end by themselves are killed."""
        drain = max((row.get("drain_seconds", 0) for row in self.topology.values()), default=0)
        return GRACEFUL_SECONDS + float(drain) if graceful else STOP_SECONDS

    # Commands

    async def _reload(self, everything: bool = False) -> str:
        async with self._changing:
            return await self._unless_stopped(reload(self, everything))

    async def _reload_logged(self) -> None:
        try:
            logger.info("reloaded: %s", await self._reload())
        except StoppedError:
            return
        except TidegateError as error:
            logger.error("not reloaded, the old code goes on: %s\n%s", error, getattr(error, "traceback", None) or "")

    async def _watch(self) -> None:
        import watchfiles

        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would say as well that something changed
        target = self.launch.target
        folder = os.path.dirname(target.path) if target.path else os.getcwd()
        async for changes in watchfiles.awatch(folder, watch_filter=watchfiles.PythonFilter()):
            logger.info("changed: %s", ", ".join(sorted({path.removeprefix(folder + os.sep) for _, path in changes})))
            await self._reload_logged()

    async def _command(self, op: str, parameters: dict[str, Any]) -> Any:
        match op:
            case "stop":
                graceful = bool(parameters.get("graceful"))
                self._stop_now_or_harder(graceful)
                return {"pid": os.getpid(), "seconds": self._stop_seconds(graceful)}
            case "status":
                return await report.status(self)
            case "connections":
                return await report.connections(self, int(parameters.get("limit", 1000)))
            case "reload" | "restart" if self._stop.done():
                raise ConfigurationError("it is being stopped")
            case "reload" | "restart" if self._changing.locked():
                raise ConfigurationError("it is being started or reloaded: try again when that is done")
            case "reload":
                return await self._reload(bool(parameters.get("all")))
            case "restart":
                await self._unless_stopped(self.probe())
                graceful = bool(parameters.get("graceful"))
                self._stop_now_or_harder(graceful)
                self.restarting = True
                return {"pid": os.getpid(), "started": self.started, "seconds": self._stop_seconds(graceful)}
        raise ConfigurationError(f"there is no command {op!r}")


def _fields(launch: Launch) -> dict[str, Any]:
    target = launch.target
    return {"module": target.module, "path": target.path, "name": target.name, "arguments": target.arguments}

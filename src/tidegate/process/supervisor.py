"""The supervisor: starts every process of an app, restarts what dies, reloads, and answers for all of them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tidegate.errors import AddressError, ConfigurationError, TidegateError
from tidegate.process import report
from tidegate.process.control import ControlServer
from tidegate.process.instance import Instance
from tidegate.process.launch import Launch
from tidegate.process.ports import Ports
from tidegate.process.slots import Process, Slot, StartError, describe_exit

__all__ = ["Supervisor"]

logger = logging.getLogger("tidegate")

PROBE_SECONDS = 60
START_SECONDS = 60
STOP_SECONDS = 5
"""Until a process that was told to stop is killed."""
GRACEFUL_SECONDS = 30
"""The same where work in progress may finish."""

SERVICE_RESTART = {"code": 1012, "reason": "the server is reloaded"}


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
        self.restarting = False  # whether it is to be started again after its end
        self._read_config = read_config
        self._started = started
        self._failure: ConfigurationError | None = None
        self._is_started = False
        self._instance = Instance.of(launch.target, launch.name)
        self._ports = Ports()
        self._control = ControlServer(self._command)
        self._processes: set[Process] = set()
        self._reloading = asyncio.Lock()
        self._stop: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()

    # Life

    async def run(self) -> None:
        """Start the app and keep it until it is stopped.

        Raises:
            StartError: its code does not import.
            ConfigurationError: it can't be started as it is.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGQUIT, self._signalled, True)
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._in_background(self._reload_logged()))
        try:
            self.config, self.topology = await self._probe()
            self._open_ports(self.topology)
            await self._control.start(self._instance.socket)
            for worker in self.topology.values():
                for index in range(worker["count"]):
                    self._fill(self._slot(worker["name"], index))
            self._in_background(self._report_start())
            if self.launch.watch:
                self._in_background(self._watch())
            graceful = await self._stop
            await self._stop_all(graceful)
            if self._failure is not None:
                raise self._failure
        finally:
            for process in self._processes:
                process.kill()
            self._ports.close()
            await self._control.close()

    def _signalled(self, graceful: bool = False) -> None:
        if self._stop.done():  # asked again: at once
            for process in self._processes:
                process.kill()
        else:
            logger.info("stopping")
            self._stop_once(graceful)

    def _stop_once(self, graceful: bool) -> None:
        if not self._stop.done():
            self._stop.set_result(graceful)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probe(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Have a process import the app and say what it consists of; gives the configuration and workers by name."""
        config = self._read_config()
        order = {"op": "probe", "config": config, "target": _fields(self.launch)}
        process = Process(f"{self.launch.name} probe", order)
        self._processes.add(process)
        try:
            app = (await process.wait_ready(PROBE_SECONDS))["app"]
        finally:
            process.stopping = True
            process.kill()
        return config, {worker["name"]: worker for worker in app["workers"]}

    def _open_ports(self, topology: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
        """Listen wherever the topology says and nothing does yet; all of it or nothing."""
        opened: list[tuple[str, str]] = []
        try:
            for worker in topology.values():
                name, address = worker["name"], worker["listen"]
                if address and self._ports.open_main(name, address, worker["reuse_port"]):
                    opened.append((name, address))
        except AddressError:
            for name, address in opened:
                self._ports.close_main(name, address)
            raise
        return opened

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
                if error.is_configuration:
                    self._failure = ConfigurationError(str(error))
                    self._stop_once(False)
                    return
                problem = problem or f"{slot.title}: {error}"
        self._is_started = True
        if not self._stop.done():
            self._started(await report.listeners(self), problem)

    # Processes

    def _slot(self, worker: str, index: int) -> Slot:
        return self.slots.setdefault((worker, index), Slot(worker, index))

    def _start(self, slot: Slot) -> Process:
        async def listen(process: Process, asked: dict[str, Any]) -> Sequence[socket.socket]:
            return self._ports.give(slot, process, asked["address"], asked["reuse_port"])

        def left(process: Process, address: str) -> None:
            self._ports.left(process, address, self._processes)

        order = {
            "op": "start",
            "target": _fields(self.launch),
            "config": self.config,
            "worker": slot.worker,
            "index": slot.index,
            "quiet": not self._is_started,  # what is wrong with its settings is said here
        }
        process = Process(slot.title, order, listen, left)
        self._processes.add(process)
        return process

    def _fill(self, slot: Slot) -> None:
        """Start a slot's process."""
        slot.restart = None
        try:
            slot.process = self._start(slot)
        except OSError as error:  # no memory or process table full: as if it had died
            logger.error("%s can't be started: %s", slot.title, error)
            slot.deaths_at_start += 1
            slot.restart = asyncio.get_running_loop().call_later(1, self._fill, slot)

    def _reap(self) -> None:
        for process in tuple(self._processes):
            if process.reap():
                self._processes.discard(process)
                for slot in self.slots.values():
                    if slot.process is process:
                        self._died(slot, process)

    def _died(self, slot: Slot, process: Process) -> None:
        code = process.exited.result()
        slot.exits[code] += 1
        slot.process = None
        if process.stopping or self._stop.done() or slot.removed:
            return
        delay = slot.note_death(process)
        when = "now" if not delay else f"in {delay:g} s"
        logger.warning("%s (pid %s) died, %s; starting it again %s", slot.title, process.pid, describe_exit(code), when)
        slot.restart = asyncio.get_running_loop().call_later(delay, self._fill, slot)

    async def _stop_all(self, graceful: bool) -> None:
        async with self._reloading:
            for slot in self.slots.values():
                slot.removed = True
                slot.cancel_restart()
            seconds = GRACEFUL_SECONDS if graceful else STOP_SECONDS
            await asyncio.gather(*(process.stop(seconds, graceful=graceful) for process in tuple(self._processes)))

    # Reload

    async def reload(self, everything: bool = False) -> str:
        """Replace the processes with the new code, one by one; gives what was done.

        Raises:
            StartError: the new code does not import, or a process of it does not start; the old ones go on.
        """
        if self._reloading.locked():
            raise ConfigurationError("a reload is under way already")
        async with self._reloading:
            config, topology = await self._probe()
            opened = self._open_ports(topology)
            before, self.config = self.config, config
            replaced = 0
            try:
                for worker in topology.values():
                    changed = self.topology.get(worker["name"], worker)["listen"] != worker["listen"]
                    for index in range(worker["count"]):
                        slot = self._slot(worker["name"], index)
                        if slot.process is None or worker["reloadable"] or everything or changed:
                            await self._replace(slot)
                            replaced += 1
                        else:
                            slot.process.channel.tell("reloading")
            except StartError as error:
                if not replaced:
                    self.config = before
                    for name, address in opened:
                        self._ports.close_main(name, address)
                self._forget_empty()
                raise StartError(
                    f"{error} ({replaced} replaced before it, the others go on)", error.traceback
                ) from None
            gone = [slot for key, slot in self.slots.items() if key[1] >= topology.get(key[0], {"count": 0})["count"]]
            await asyncio.gather(*(self._remove(slot) for slot in gone))
            self.topology = topology
            wanted = {(worker["name"], worker["listen"]) for worker in topology.values()}
            for name, address in self._ports.mains() - wanted:
                self._ports.close_main(name, address)
            self._ports.prune(self._processes)
            return f"{replaced} processes replaced" + (f", {len(gone)} ended" if gone else "")

    async def _replace(self, slot: Slot) -> None:
        slot.cancel_restart()
        try:
            successor = self._start(slot)
        except OSError as error:
            raise StartError(f"{slot.title} can't be started: {error}") from error
        try:
            await successor.wait_ready(START_SECONDS)
        except StartError:
            successor.stopping = True
            successor.kill()
            raise
        slot.cancel_restart()
        old, slot.process = slot.process, successor
        slot.deaths_at_start = 0
        if old is not None:
            await old.stop(GRACEFUL_SECONDS, graceful=True, reload=True, **SERVICE_RESTART)
            slot.exits[old.exited.result()] += 1

    async def _remove(self, slot: Slot) -> None:
        slot.removed = True
        slot.cancel_restart()
        if slot.process is not None:
            await slot.process.stop(GRACEFUL_SECONDS, graceful=True)
        self.slots.pop((slot.worker, slot.index), None)

    def _forget_empty(self) -> None:
        """After a reload that failed: places that only the new code had are gone, the old ones are filled again."""
        for key, slot in tuple(self.slots.items()):
            if slot.process is None and slot.restart is None:
                if key[0] in self.topology and key[1] < self.topology[key[0]]["count"]:
                    slot.restart = asyncio.get_running_loop().call_later(1, self._fill, slot)
                else:
                    del self.slots[key]

    async def _reload_logged(self) -> None:
        try:
            logger.info("reloaded: %s", await self.reload())
        except TidegateError as error:
            logger.error("not reloaded, the old code goes on: %s\n%s", error, getattr(error, "traceback", None) or "")

    async def _watch(self) -> None:
        import watchfiles

        target = self.launch.target
        folder = os.path.dirname(target.path) if target.path else os.getcwd()
        async for changes in watchfiles.awatch(folder, watch_filter=watchfiles.PythonFilter()):
            logger.info("changed: %s", ", ".join(sorted({path.removeprefix(folder + os.sep) for _, path in changes})))
            await self._reload_logged()

    # Commands

    async def _command(self, op: str, parameters: dict[str, Any]) -> Any:
        match op:
            case "stop":
                self._signalled(bool(parameters.get("graceful")))
                return {"pid": os.getpid()}
            case "restart":
                await self._probe()
                self.restarting = True
                self._signalled(bool(parameters.get("graceful")))
                return {"pid": os.getpid(), "started": self.started}
            case "reload":
                return await self.reload(bool(parameters.get("all")))
            case "status":
                return await report.status(self)
            case "connections":
                return await report.connections(self, int(parameters.get("limit", 1000)))
        raise ConfigurationError(f"there is no command {op!r}")


def _fields(launch: Launch) -> dict[str, Any]:
    target = launch.target
    return {"module": target.module, "path": target.path, "name": target.name, "arguments": target.arguments}

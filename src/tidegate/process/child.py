"""A child process: takes its orders from the supervisor, and runs one member of the app.

It imports the app for that, or makes the member of the settings that stand in the order.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tidegate.errors import AddressError, ConfigurationError
from tidegate.net import loops
from tidegate.net.address import Address
from tidegate.process import context, logs
from tidegate.process.channel import Channel, ChannelClosedError, RemoteError, receive_first, send_first
from tidegate.process.member import Member, Stop
from tidegate.process.target import LoadedApp, Target, load, read_new_code

__all__ = ["main"]

Kinds = Mapping[str, Callable[[Mapping[str, Any]], Member]]

logger = logging.getLogger("tidegate")

LEAVE_SECONDS = 5
"""That a child takes at most to leave once its supervisor is gone."""
LEAST_SECONDS = 0.5
"""That each of a process's members has to stop, whatever the others took."""
OURS = str(Path(__file__).parent.parent) + os.sep
RATE_SECONDS = 5
"""Over which messages a second are counted."""
COLLECT_EVERY = 10_000
"""Objects that are made and not freed before the garbage collector looks at them. Its own 700 are a few dozen clients
that come, and those leave nothing for it: they are freed without it. The user's code may set another threshold."""


class Child:
    """The context of a supervised member: the supervisor has the sockets, and is asked for them."""

    def __init__(self, sock: socket.socket, worker: Member, order: Mapping[str, Any]) -> None:
        self.config: Mapping[str, Any] = order["config"]
        self.is_first_start: bool = order["first"]
        self._quiet: bool = order["quiet"]
        self.running: list[Member] = []
        self._worker = worker
        self._stopping: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._channel = Channel(sock, self._handle, lambda: self._stop(Stop(seconds=LEAVE_SECONDS)))
        self._totals: deque[tuple[float, int]] = deque(maxlen=RATE_SECONDS + 1)

    async def listen(self, address: Address, reuse_port: bool) -> list[socket.socket]:
        try:
            sockets: list[socket.socket] = await self._channel.request(
                "listen", sockets=True, address=str(address), reuse_port=reuse_port
            )
        except RemoteError as error:
            raise AddressError(str(error)) from None
        for sock in sockets:
            sock.setblocking(False)
        return sockets

    def left(self, address: Address) -> None:
        # Where the whole process stops, the supervisor goes on listening for whoever comes next.
        if not self._stopping.done():
            self._channel.tell("left", address=str(address))

    async def run(self) -> int:
        """Run the worker until told to stop; gives the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop, Stop(seconds=LEAVE_SECONDS))
        starting = asyncio.ensure_future(self._worker.listen())
        await asyncio.wait({starting, self._stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():  # told to stop before it serves
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return 0
        try:
            starting.result()
        except Exception as error:
            if not isinstance(error, ConfigurationError):
                logger.exception("did not start")
            elif not self._quiet:
                logger.error("did not start: %s", error)
            self._channel.tell("failed", **describe_failure(error))
            return 1
        # What is there by now stays: the collector need not go through all modules each time.
        gc.collect()
        gc.freeze()
        memory()  # what it reads stays open from now on
        self._channel.tell("ready")
        meter = asyncio.create_task(self._measure())
        stop = await self._stopping
        meter.cancel()
        try:
            if stop.reload:
                await self._worker.reloading()
        except Exception:
            logger.exception("on_worker_reload failed")
        # The worker before those that it opened: those are in front of it.
        for worker in reversed(tuple(self.running)):
            try:
                await worker.stop(
                    graceful=stop.graceful,
                    seconds=max(LEAST_SECONDS, stop.seconds_left),
                    code=stop.code,
                    reason=stop.reason,
                    reload=stop.reload,
                    whole=stop.whole,
                )
            except Exception:
                logger.exception("stopping %s failed", worker.name)
        self._channel.close()
        return 0

    def _stop(self, stop: Stop) -> None:
        if not self._stopping.done():
            self._stopping.set_result(stop)

    async def _handle(self, op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
        match op:
            case "stop":
                self._stop(Stop(**parameters))
            case "reloading":
                await self._worker.reloading()
            case "status":
                return self._status(), ()
            case "connections":
                return self._connections(parameters["limit"]), ()
        return None, ()

    async def _measure(self) -> None:
        while True:
            self._totals.append((time.monotonic(), self._total()))
            await asyncio.sleep(1)

    def _total(self) -> int:
        return sum(row.get("messages_in", 0) + row.get("messages_out", 0) for row in self._snapshots())

    def _snapshots(self) -> list[dict[str, Any]]:
        return [worker.snapshot() for worker in reversed(self.running)]

    def _status(self) -> dict[str, Any]:
        now = time.monotonic()
        since, before = self._totals[0] if self._totals else (now, self._total())
        elapsed = now - since
        return {
            "memory": memory(),
            "rate": max(0, self._total() - before) / elapsed if elapsed > 0.5 else 0.0,
            "workers": self._snapshots(),
        }

    def _connections(self, limit: int) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        total = 0
        for worker in reversed(self.running):
            rows += worker.connection_rows(limit - len(rows))
            total += worker.snapshot()["connections"]
        return {"rows": rows, "total": total}


def memory() -> int:
    """Bytes of memory that the process has now; the most that it ever had where the system tells no better."""
    if (statm := _statm()) is not None:
        return int(os.pread(statm, 100, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@functools.cache
def _statm() -> int | None:
    """What the system writes of this process's memory, kept open: there may be no descriptor when it is asked for."""
    try:
        return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def describe_failure(error: BaseException) -> dict[str, Any]:
    """An error for the supervisor: its traceback, or what one line says of it."""
    if isinstance(error, ConfigurationError):
        return {"message": str(error), "traceback": None, "is_configuration": True}
    frames = traceback.format_exception(type(error), error, from_users_code(error.__traceback__))
    return {"message": f"{type(error).__name__}: {error}", "traceback": "".join(frames)}


def from_users_code(frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the steps of ours, and of importing, that lead to the user's."""
    while frames is not None and frames.tb_next is not None:
        if not frames.tb_frame.f_code.co_filename.startswith((OURS, "<frozen importlib")):
            break
        frames = frames.tb_next
    return frames


def leave_with_supervisor(sock: socket.socket) -> None:
    """End this process soon after its supervisor, also where the loop is blocked."""

    def watch() -> None:
        poll = select.poll()
        poll.register(sock.fileno(), 0)  # the end is reported in any case, and nothing else is asked for
        poll.poll()
        time.sleep(LEAVE_SECONDS)
        os._exit(3)

    threading.Thread(target=watch, name="tidegate-supervisor", daemon=True).start()


def main(fd: int, app_type: type[Any], kinds: Kinds) -> int:
    """Take the supervisor's order from a descriptor and carry it out.

    Args:
        app_type: the class of what is looked for in the user's module.
        kinds: what makes members of their rows of the topology, where those hold settings, by the row's kind.
    """
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)  # whatever the user's code starts is not to be taken for this process
    sock.setblocking(True)
    try:
        order = receive_first(sock)
    except ChannelClosedError:
        return 3
    logs.set_up(order["title"])
    context.mark_supervised()
    leave_with_supervisor(sock.dup())
    gc.set_threshold(COLLECT_EVERY, *gc.get_threshold()[1:])
    read_new_code()
    try:
        if order["op"] == "probe":
            app = load(Target(**order["target"]), app_type)
            send_first(sock, {"op": "topology", "app": app.describe(order["config"])})
            return 0
        worker = make(order, app_type, kinds)
    except BaseException as error:
        send_first(sock, {"op": "failed", **describe_failure(error)})
        return 1
    worker.id = order["index"]

    async def run() -> int:
        child = Child(sock, worker, order)
        context.enter(child)
        return await child.run()

    return loops.run(run())


def make(order: Mapping[str, Any], app_type: type[Any], kinds: Kinds) -> Member:
    """The member that an order is about."""
    row = order["row"]
    from_settings = kinds.get(row["kind"]) if "settings" in row else None
    if from_settings is not None:
        gc.callbacks.append(keep_what_survives)
        return from_settings(row)
    return pick(load(Target(**order["target"]), app_type), row["name"])


def keep_what_survives(phase: str, info: dict[str, int]) -> None:
    """Have the garbage collector go through what has survived a full collection never again.

    In a process without the user's code that is connections by the ten thousand, which form no cycles once they have
    ended; going through all of them would stop everybody, the longer the more there are.
    """
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def pick(app: LoadedApp, name: str) -> Member:
    """The member of that name."""
    for member in app.members:
        if member.name == name:
            return member
    raise ConfigurationError(f"the app has no worker {name!r} any more")

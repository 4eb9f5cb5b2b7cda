"""A child process: takes its orders from the supervisor, imports the app, runs one worker of it."""

from __future__ import annotations

import asyncio
import contextlib
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tidegate.errors import AddressError, ConfigurationError
from tidegate.net import loops
from tidegate.net.address import Address
from tidegate.process import context, logs
from tidegate.process.channel import Channel, ChannelClosedError, RemoteError, receive_first, send_first
from tidegate.process.target import LoadedApp, Target, load, read_new_code

__all__ = ["main"]

logger = logging.getLogger("tidegate")

LEAVE_SECONDS = 5
"""That a child takes at most to leave once its supervisor is gone."""
OURS = str(Path(__file__).parent.parent) + os.sep
RATE_SECONDS = 5
"""Over which messages a second are counted."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How to stop."""

    graceful: bool = False
    seconds: float = LEAVE_SECONDS
    code: int = 1001
    reason: str = "the server stops"
    reload: bool = False


class Child:
    """The context of a supervised worker: the supervisor has the sockets, and is asked for them."""

    def __init__(self, sock: socket.socket, worker: Any, config: Mapping[str, Any], quiet: bool) -> None:
        self.config = config
        self._quiet = quiet
        self.running: list[Any] = []
        self._worker = worker
        self._stopping: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._channel = Channel(sock, self._handle, lambda: self._stop(Stop()))
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
        loop.add_signal_handler(signal.SIGTERM, self._stop, Stop())
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
        self._channel.tell("ready")
        meter = asyncio.create_task(self._measure())
        stop = await self._stopping
        meter.cancel()
        deadline = time.monotonic() + stop.seconds
        try:
            if stop.reload:
                await self._worker.reloading()
        except Exception:
            logger.exception("on_worker_reload failed")
        # The worker before those that it opened: those are in front of it.
        for worker in reversed(tuple(self.running)):
            seconds = max(0.5, deadline - time.monotonic())
            try:
                await worker.stop(graceful=stop.graceful, seconds=seconds, code=stop.code, reason=stop.reason)
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
        return sum(row["messages_in"] + row["messages_out"] for row in self._snapshots())

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
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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


def main(fd: int, app_type: type[Any]) -> int:
    """Take the supervisor's order from a descriptor and carry it out."""
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
    read_new_code()
    try:
        app = load(Target(**order["target"]), app_type)
        if order["op"] == "probe":
            send_first(sock, {"op": "topology", "app": app.describe(order["config"])})
            return 0
        worker = pick(app, order["worker"])
    except BaseException as error:
        send_first(sock, {"op": "failed", **describe_failure(error)})
        return 1
    worker.id = order["index"]

    async def run() -> int:
        child = Child(sock, worker, order["config"], order["quiet"])
        context.enter(child)
        return await child.run()

    return loops.run(run())


def pick(app: LoadedApp, name: str) -> Any:
    """The worker of that name."""
    for member in app.members:
        if member.name == name:
            return member
    raise ConfigurationError(f"the app has no worker {name!r} any more")

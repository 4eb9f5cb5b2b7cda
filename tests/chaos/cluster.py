"""The app under test, started as users do, and what is done to its processes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.ports import free_port, free_ports
from tests.process.support import Place, until
from tidegate.errors import TidegateError
from tidegate.process.control import ask

__all__ = ["GATEWAYS", "App", "Troubles"]

GATEWAYS = 2
WORKERS = (2, 3)

WHOLE = ("reload --all", "restart")
"""What replaces the gateways as well."""

LIKELY = {
    "kill a worker": 5,
    "stop a worker for a while": 4,
    "kill a gateway": 2,
    "stop a gateway for a while": 3,
    "kill Register": 1,
    "stop Register for a while": 1,
    "reload": 3,
    "reload with another number of workers": 2,
    "reload --all": 0.7,
    "restart": 0.3,
}
"""How likely one trouble is beside the others."""

CODE = """
import asyncio
from tidegate import App, BusinessWorker, Gateway, Register

CLUSTER = "{cluster}"
business = BusinessWorker(cluster=CLUSTER, name="business")
app = App(
    Register(CLUSTER, name="register"),
    Gateway("websocket://127.0.0.1:{port}", name="web", count={gateways}, start_port={inner}, cluster=CLUSTER,
            ping_interval=3),
    business,
)

@business.on_message
def take(client, message):
    what, number, pause, more = message.split(" ")
    if what == "i":
        client.bind_uid(more)
        client.join_group("room")
        more = client.id
    elif what == "g":
        name, _, count = more.partition(":")
        business.send_to_group("room", f"{{name}} {{count}} -")
    else:
        client.session["last"] = number
        client.join_group(f"group {{int(number) % 20}}")
        client.leave_group(f"group {{(int(number) - 3) % 20}}")
    if pause != "0":
        return later(client, number, int(pause) / 1000, more)
    client.send(f"e {{number}} {{more}}")

async def later(client, number, seconds, more):
    await asyncio.sleep(seconds)
    client.send(f"e {{number}} {{more}}")
"""
"""A handler that takes time answers at its end: so an event that was begun and not finished was not answered."""


class App:
    """The app.

    Args:
        nats: the URL of a NATS server on which its members meet, in place of its Register.

    Attributes:
        address: where its members meet, as push clients are given it.
        counters: the last that each process was heard to have counted, by role and pid.
        rows: of the last status.
    """

    def __init__(self, folder: Path, nats: str | None = None) -> None:
        self.place = Place(folder)
        self.port, self.inner = free_port(), free_ports(GATEWAYS)
        self.address = nats or f"127.0.0.1:{free_port()}"
        self.counters: dict[tuple[str, int], dict[str, int]] = {}
        self.rows: list[dict[str, Any]] = []
        self.place.write(CODE.format(cluster=self.address, port=self.port, gateways=GATEWAYS, inner=self.inner))
        self.count = WORKERS[0]
        self.set_count(self.count)
        self._socket: Path | None = None

    def set_count(self, count: int) -> None:
        """Have so many workers, once it is reloaded."""
        self.count = count
        self.place.write(f"[worker.business]\ncount = {count}\n", "app.toml")

    def start(self) -> None:
        self.place.start("app.py", "--config", "app.toml").ready()
        self._socket = self.place.run_folder / f"{self.place.key()}.sock"
        until(self.is_whole)

    def command(self, op: str, **parameters: Any) -> Any:
        """Ask the supervisor.

        Raises:
            TidegateError: it refuses, or can't be reached.
        """
        assert self._socket is not None
        answer = ask(self._socket, op, 60, **parameters)
        if "error" in answer:
            raise TidegateError(answer["error"])
        return answer["result"]

    def look(self) -> list[dict[str, Any]]:
        """Ask for the processes, and keep what they have counted."""
        self.rows = self.command("status")["processes"]
        for row in self.rows:
            if row["extra"]:
                self.counters[row["role"], row["pid"]] = {**row["extra"], "failed": row["send_failures"]}
        return self.rows

    def is_whole(self) -> bool:
        """Whether every process runs."""
        try:
            rows = self.look()
        except TidegateError:
            return False
        return bool(rows) and all(row["state"] == "running" for row in rows)

    def pids(self, member: str) -> dict[int, int]:
        """The processes of a member by their index, as they were seen last."""
        return {
            int(row["role"].rpartition("#")[2]): row["pid"]
            for row in self.rows
            if row["role"].startswith(f"{member}#") and row["pid"]
        }

    def began(self, member: str) -> dict[int, float]:
        """When the processes of a member that run were started, by their index."""
        now = time.monotonic()
        return {
            int(row["role"].rpartition("#")[2]): now - row["uptime"]
            for row in self.rows
            if row["role"].startswith(f"{member}#") and row["pid"]
        }

    def total(self, member: str, counter: str, pids: set[int] | None = None) -> int:
        """What the processes of a member have counted, as far as they were heard."""
        return sum(
            counters.get(counter, 0)
            for (role, pid), counters in self.counters.items()
            if role.startswith(f"{member}#") and (pids is None or pid in pids)
        )

    def log(self) -> str:
        """What the app has said."""
        return "".join(app.err.read_text(errors="replace") for app in self.place.started)

    def clear(self) -> None:
        self.place.clear()


class Troubles:
    """A thread that makes some, at random.

    Args:
        seed: of the order in which it does.
        pause: seconds between two, on average.

    Attributes:
        done: what was done, and how often.
        gateways: seconds at which a gateway process of an index began to be another.
        worker_kills: seconds at which workers were killed.
    """

    def __init__(self, app: App, seed: int, pause: float) -> None:
        self.done: Counter[str] = Counter()
        self.gateways: dict[int, float] = {}
        self.worker_kills: list[float] = []
        self.refused: Counter[str] = Counter()
        self._app = app
        self._random = random.Random(seed)
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="troubles")
        self._stopped: dict[int, float] = {}
        self._reload: threading.Thread | None = None
        self.problem: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Make no more, and wait until all is well."""
        self._over.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def is_young(self, index: int) -> bool:
        """Whether that gateway process has been another a few seconds ago, or may be about to be."""
        return time.monotonic() - self.gateways.get(index, 0.0) < 6 or self._changing in WHOLE

    @property
    def _changing(self) -> str:
        return self._reload.name if self._reload is not None and self._reload.is_alive() else ""

    def _work(self) -> None:
        try:
            while not self._over.wait(self._random.uniform(0.2, 2) * self._pause):
                self._continue(time.monotonic())
                self._act(self._random.choices(list(LIKELY), list(LIKELY.values()))[0])
            self._continue(float("inf"))
            if self._reload is not None:
                self._reload.join()
            until(self._app.is_whole, 60)
        except BaseException as error:
            self.problem = error
        finally:
            self._continue(float("inf"))

    def _continue(self, now: float) -> None:
        """Have go on what was stopped for long enough."""
        for pid, end in tuple(self._stopped.items()):
            if end <= now:
                del self._stopped[pid]
                self._signal(pid, signal.SIGCONT)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _act(self, what: str) -> None:
        if what.startswith(("kill", "stop")):
            self._signal_one(what)
        elif not self._changing:
            # Nothing is stopped that it would wait for.
            self._continue(float("inf"))
            if what.endswith("number of workers"):
                self._app.set_count(sum(WORKERS) - self._app.count)
            self._reload = threading.Thread(target=self._change, args=(what,), name=what)
            self._reload.start()

    def _signal_one(self, what: str) -> None:
        member = "business" if "worker" in what else "web" if "gateway" in what else "register"
        with contextlib.suppress(TidegateError):
            self._app.look()
        pids = {pid: index for index, pid in self._app.pids(member).items() if pid not in self._stopped}
        if not pids:
            return
        pid = self._random.choice(sorted(pids))
        self.done[what] += 1
        if what.startswith("stop"):
            self._stopped[pid] = time.monotonic() + self._random.uniform(0.1, 2.5)
            self._signal(pid, signal.SIGSTOP)
            return
        if member == "web":
            self.gateways[pids[pid]] = time.monotonic()
        elif member == "business":
            self.worker_kills.append(time.monotonic())
        self._signal(pid, signal.SIGKILL)

    def _change(self, what: str) -> None:
        """Reload or restart, in a thread of its own."""
        if what in WHOLE:
            self._young()
        try:
            if what == "restart":
                before = self._app.command("status")["started"]
                self._app.command("restart")
                until(lambda: self._is_other(before), 60)
            else:
                self._app.command("reload", all="all" in what)
            self.done[what] += 1
        except TidegateError as error:
            self.refused[f"{what}: {error}"] += 1
        if what in WHOLE:
            self._young()

    def _young(self) -> None:
        self.gateways.update(dict.fromkeys(range(GATEWAYS), time.monotonic()))

    def _is_other(self, before: float) -> bool:
        try:
            return bool(self._app.command("status")["started"] != before) and self._app.is_whole()
        except TidegateError:
            return False

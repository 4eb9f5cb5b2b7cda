"""Starting the servers and the load, each on its core, and ending them whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["BenchmarkError", "Helper", "Tidegate", "bare", "load", "prepare", "wait_for_members"]

FOLDER = Path(__file__).resolve().parent
ANSWER_SECONDS = 60
START_SECONDS = 20
STOP_SECONDS = 15
POLL_SECONDS = 0.05
FILES_NEEDED = 10_200
"""By a process that holds 10,000 connections."""


class BenchmarkError(Exception):
    """What went wrong, in one line."""


def prepare() -> str:
    """Make room for connections and take the load's core; gives a line on what there is.

    Raises:
        BenchmarkError: where the system allows too few open files.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        raise BenchmarkError(f"{hard} open files are allowed, {FILES_NEEDED} are needed: raise the limit (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < FILES_NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return "one core for server and load: rates by the clock are of both together"
    os.sched_setaffinity(0, available[1:])
    cores.server, cores.load = {available[0]}, {available[1]}
    return f"server on core {available[0]}, load on core {available[1]}"


@dataclass(slots=True)
class Cores:
    """Which process goes where; empty where there is no choice."""

    server: set[int] = field(default_factory=set)
    load: set[int] = field(default_factory=set)


cores = Cores()


@contextlib.contextmanager
def started_on(chosen: set[int]) -> Iterator[None]:
    """What is started meanwhile has these cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen or own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


class Helper:
    """A module of this package that runs as a process, and takes orders. Ends with the `with` block."""

    def __init__(self, module: str, *arguments: str, on: set[int]) -> None:
        self._command = ["-m", f"benchmarks.{module}", *arguments]
        self._cores = on
        self.port = 0

    def __enter__(self) -> Self:
        with started_on(self._cores):
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                cwd=FOLDER.parent,
                start_new_session=True,  # Ctrl-C is for the one who ends it
            )
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def read_line(self) -> bytes:
        """The next line that it prints.

        Raises:
            BenchmarkError: where none comes in time.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_SECONDS)[0]:
            raise BenchmarkError(f"{' '.join(self._command)}: no answer within {ANSWER_SECONDS} s")
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"{' '.join(self._command)} has ended")
        return line

    def order(self, *words: object) -> None:
        """Give an order, whose `result` is to be asked for."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        except BrokenPipeError:
            raise BenchmarkError(f"{' '.join(self._command)} has ended") from None

    def result(self) -> Any:
        """The answer to the order."""
        return unpack(self.read_line())

    def ask(self, *words: object) -> Any:
        """Give an order and wait for its answer."""
        self.order(*words)
        return self.result()


def load() -> Helper:
    """Clients, on the load's core."""
    return Helper("load", on=cores.load)


@contextlib.contextmanager
def bare(kind: str) -> Iterator[Helper]:
    """A reference server, on the server's core, with its port known."""
    with Helper("bare", kind, on=cores.server) as helper:
        helper.port = int(helper.read_line())
        yield helper


class Tidegate:
    """An app of `servers.py`, started as a user would, in a run folder of its own. Ends with the `with` block.

    Attributes:
        port: of its WebSocket worker.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-bench-")
        self._log = Path(self._folder.name) / "log"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self._environment["TIDEGATE_RUN_DIR"] = self._folder.name
        self.port = 0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log, started_on(cores.server):
            self._process = subprocess.Popen(
                self._command("start", f"{FOLDER / 'servers.py'}:{self._app}"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        try:
            listening = self._wait_until_ready()
            self.port = listening["websocket"]
            self._orders = socket.create_connection(("127.0.0.1", listening["text"]), timeout=ANSWER_SECONDS)
            self._answers = self._orders.makefile("rb")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._orders.close()
        self._end()

    def _end(self) -> None:
        end(self._process)
        self._folder.cleanup()

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tidegate", *words]

    def _wait_until_ready(self) -> dict[str, int]:
        """Ports by scheme, once the process serves."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(BenchmarkError):
                row = self._row()
                if row["state"] == "running" and len(row["listen"]) == 2:
                    urls = [listen.partition("://") for listen in row["listen"]]
                    return {scheme: int(rest.rpartition(":")[2]) for scheme, _, rest in urls}
            time.sleep(POLL_SECONDS)
        raise BenchmarkError(f"{self._app} did not start: {self._log.read_text().strip()}")

    def _row(self) -> dict[str, Any]:
        """What `tidegate status --json` says of the process."""
        done = subprocess.run(
            self._command("status", "--json"), capture_output=True, env=self._environment, timeout=ANSWER_SECONDS
        )
        if done.returncode:
            raise BenchmarkError(f"tidegate status: {done.stderr.decode().strip()}")
        rows: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
        if not rows:
            raise BenchmarkError("tidegate status knows no process")
        return rows[0]

    @property
    def memory(self) -> int:
        """Bytes of memory that the process has."""
        memory = self._row()["memory"]
        if memory is None:
            raise BenchmarkError(f"tidegate status knows no memory: {self._log.read_text().strip()}")
        return int(memory)

    def ask(self, *words: object) -> Any:
        """Give an order and wait for its answer."""
        try:
            self._orders.sendall(" ".join(map(str, words)).encode() + b"\n")
            line = self._answers.readline()
        except OSError as error:
            raise BenchmarkError(f"{self._app} does not answer: {error}") from error
        if not line:
            raise BenchmarkError(f"{self._app} has ended: {self._log.read_text().strip()}")
        return unpack(line)


def unpack(line: bytes) -> Any:
    """An answer's result.

    Raises:
        BenchmarkError: where it is an error.
    """
    answer = json.loads(line)
    if "error" in answer:
        raise BenchmarkError(answer["error"])
    return answer["result"]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here: in good order, else by force."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_members(server: Helper | Tidegate, count: int) -> None:
    """Wait until so many are connected to a server.

    Raises:
        BenchmarkError: where that does not come about.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    while (members := server.ask("members")) != count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{members} members instead of {count}")
        time.sleep(POLL_SECONDS)

"""Starting servers and load, each on its core, looking at what they cost, and ending them whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks import native

__all__ = [
    "BenchmarkError",
    "Helper",
    "Server",
    "cores",
    "cpu_of",
    "load",
    "memory_of",
    "prepare",
    "reference",
    "start_logged",
    "started_on",
]

FOLDER = Path(__file__).resolve().parent
ANSWER_SECONDS = 60
STOP_SECONDS = 15
POLL_SECONDS = 0.05
FILES_NEEDED = 10_400
"""By a process that holds 10,000 connections."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class BenchmarkError(Exception):
    """What went wrong, in one line."""


@dataclass(slots=True)
class Cores:
    """Which process goes where; empty where there is no choice."""

    server: set[int] = field(default_factory=set)
    load: set[int] = field(default_factory=set)


cores = Cores()


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


@contextlib.contextmanager
def started_on(chosen: set[int]) -> Iterator[None]:
    """What is started meanwhile has these cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen or own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds of CPU time that processes have had, with all their threads.

    Raises:
        BenchmarkError: where one has ended.
    """
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        with contextlib.suppress(FileNotFoundError):  # not in every kernel
            return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise BenchmarkError(f"process {pid} is gone") from error
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def memory_of(pids: Sequence[int]) -> int:
    """Bytes that are resident, counted page by page: the system's own sums lag behind.

    Raises:
        BenchmarkError: where a process has ended.
    """
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError) as error:
            raise BenchmarkError(f"process {pid} is gone") from error
        total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))
    return total


def start_logged(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server that is not ours to give orders to, on the server's core."""
    with log.open("wb") as output, started_on(cores.server):
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the one who ends it
        )


class Helper:
    """A program that runs beside, and takes orders. Ends with the `with` block."""

    def __init__(self, *command: str, on: set[int], environment: Mapping[str, str] | None = None) -> None:
        self.name = " ".join(command[-2:])
        self._command, self._cores, self._environment = command, on, environment

    def __enter__(self) -> Self:
        with started_on(self._cores):
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                cwd=FOLDER.parent,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the one who ends it
            )
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def pids(self) -> list[int]:
        """Of its process."""
        return [self._process.pid]

    def read_line(self) -> bytes:
        """The next line that it prints.

        Raises:
            BenchmarkError: where none comes in time.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_SECONDS)[0]:
            raise BenchmarkError(f"{self.name}: no answer within {ANSWER_SECONDS} s")
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"{self.name} has ended")
        return line

    def order(self, *words: object) -> None:
        """Give an order, whose `result` is to be asked for."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        except BrokenPipeError:
            raise BenchmarkError(f"{self.name} has ended") from None

    def result(self) -> Any:
        """The answer to the order.

        Raises:
            BenchmarkError: where it is an error.
        """
        answer = json.loads(self.read_line())
        if "error" in answer:
            raise BenchmarkError(answer["error"])
        return answer["result"]

    def ask(self, *words: object) -> Any:
        """Give an order and wait for its answer."""
        self.order(*words)
        return self.result()


class Server(Helper):
    """A program that prints the port on which it serves, on the server's core.

    Attributes:
        port: that it printed.
    """

    port = 0

    def __init__(self, *command: str) -> None:
        super().__init__(*command, on=cores.server)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.port = int(self.read_line())
        except BaseException:
            self.__exit__()
            raise
        return self


def load(*, compresses: bool = False) -> Helper:
    """Clients, on the load's core: in C where there is a compiler, but for compression."""
    path = None if compresses else native.program("load")
    return Helper(*([str(path)] if path else [sys.executable, "-m", "benchmarks.load"]), on=cores.load)


def reference(name: str, *arguments: str) -> Server:
    """A server without features: "send" or "echo", in C where there is a compiler."""
    path = native.program(name)
    command = [str(path)] if path else [sys.executable, "-m", "benchmarks.bare", name]
    return Server(*command, *arguments)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here: in good order, else by force."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(done: Any, what: str, seconds: float = ANSWER_SECONDS) -> None:
    """Wait for something.

    Raises:
        BenchmarkError: where that does not come about.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)

"""Real apps: files in a folder, started by the command line, and clients that use nothing but sockets."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tidegate.process.control import ask

T = TypeVar("T")

SECONDS = 30
"""Until what is waited for must have happened."""

PAUSE = 0.003
"""Seconds between two attempts of a client, so that it does not keep from starting what is to serve it."""

HURRIED = """
import sys
from tidegate.__main__ import main
from tidegate.process import slots

slots.command = lambda what, fd, title: [sys.executable, "-P", __file__, what, str(fd), title]
CHANGES
main()
"""
"""What is executed in place of tidegate's command, also for the processes that it starts."""

ECHO = """
import os
from tidegate import App, Worker

worker = Worker("text://127.0.0.1:0", name="echo", count=COUNT)
app = App(worker)

@worker.on_message
def answer(connection, message):
    connection.send(f"VERSION {os.getpid()} {message}")
"""


def echo(version: str = "v1", count: int = 1, more: str = "") -> str:
    """An app that answers each line with its version, its process id and that line."""
    return ECHO.replace("VERSION", version).replace("COUNT", str(count)) + more


def until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """Wait for something to be true; gives it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {condition.__qualname__}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except OSError:
        if os.path.isdir("/proc/self"):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False
    return not status.startswith("Z")


class Foreground:
    """A `tidegate start` in a terminal of its own, as far as signals go."""

    def __init__(self, place: Place, command: list[str]) -> None:
        number = len(place.started)
        self.out = place.run_folder / f"out{number}"
        self.err = place.run_folder / f"err{number}"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=place.folder,
                env=place.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        place.started.append(self)

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self, text: str) -> None:
        """Wait for something in its output or log."""

        def said() -> bool:
            if text in self.out.read_text() + self.err.read_text():
                return True
            assert self.process.poll() is None, self.err.read_text()
            return False

        until(said)

    def ready(self) -> Foreground:
        self.says("Ctrl-C ends it\n")
        return self

    def press_ctrl_c(self) -> None:
        os.killpg(self.pid, signal.SIGINT)

    def ends(self) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(SECONDS)


class Place:
    """A folder with an app, and one for the control sockets of what runs there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = Path(tempfile.mkdtemp(prefix="tg"))  # a socket's path has to be short
        self.environment = {**os.environ, "TIDEGATE_RUN_DIR": str(self.run_folder), "PYTHONUNBUFFERED": "1"}
        self.started: list[Foreground] = []

    # Starting

    def write(self, code: str, name: str = "app.py") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        return path

    def start(self, *arguments: str) -> Foreground:
        """Start an app in the foreground: app.py unless another is named."""
        return self.launch(sys.executable, "-m", "tidegate", "start", *(arguments or ("app.py",)))

    def hurry(self, changes: str) -> Foreground:
        """Start app.py where some of our seconds are others: Python that is executed first in each process."""
        entry = self.write(HURRIED.replace("CHANGES", changes), "hurried.py")
        return self.launch(sys.executable, "-P", str(entry), "start", "app.py")

    def launch(self, *command: str) -> Foreground:
        """Start an app by a command of any kind."""
        return Foreground(self, list(command))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Carry out a command and wait for its end."""
        return self.python("-m", "tidegate", *arguments)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def do(self, *arguments: str) -> str:
        """Carry out a command that has to work; gives what it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, op: str, **parameters: Any) -> dict[str, Any]:
        """Ask the only app that runs, without a process in between as the command line is one."""
        answer = ask(self.run_folder / f"{self.key()}.sock", op, SECONDS, **parameters)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def refused(self, op: str, **parameters: Any) -> str:
        """The same, where it is an error."""
        error: str = ask(self.run_folder / f"{self.key()}.sock", op, SECONDS, **parameters)["error"]
        return error

    def reload(self, everything: bool = False) -> str:
        """What the command does; gives what was done."""
        answer = ask(self.run_folder / f"{self.key()}.sock", "reload", SECONDS, all=everything)
        assert "error" not in answer, answer
        done: str = answer["result"]
        return done

    # Looking

    def status(self) -> dict[str, Any]:
        """The status of the only app that runs."""
        return self.command("status")

    def key(self) -> str:
        """How commands call the only app that runs."""
        (path,) = self.run_folder.glob("*.sock")
        return path.stem

    def processes(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.status()["processes"]
        return rows

    def pids(self) -> list[int]:
        return [row["pid"] for row in self.processes() if row["pid"] is not None]

    def port(self, number: int = 0, role: str = "") -> int:
        """A port that a running process listens on."""
        row = next(row for row in self.processes() if row["listen"] and row["role"].startswith(role))
        return int(row["listen"][number].rpartition(":")[2])

    def port_when_running(self) -> int:
        """The first process's port, once it is not the one that has just died."""
        until(lambda: all(row["listen"] and is_alive(row["pid"]) for row in self.processes()))
        return self.port()

    # The end

    def clear(self) -> None:
        """End whatever was started here, however the test went."""
        for app in self.started:
            if app.process.poll() is None:
                app.process.kill()
            app.process.wait(SECONDS)
        for pid in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def _left(self) -> list[int]:
        """Processes that have our folder in their environment; supervisors alone where the system does not tell."""
        mark = f"TIDEGATE_RUN_DIR={self.run_folder}".encode()
        if not os.path.isdir("/proc/self"):
            return [int(path.read_text()) for path in self.run_folder.glob("*.pid") if path.read_text()]
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


class Lines:
    """A connection for lines of text."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._file = self._socket.makefile("rb")
        self.local_port: int = self._socket.getsockname()[1]

    def ask(self, line: str) -> str:
        """Send a line and read one; empty where the connection ends."""
        self._socket.sendall(line.encode() + b"\n")
        return self.read()

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def read(self) -> str:
        return self._file.readline().decode().rstrip("\n")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask_once(port: int, line: str = "x") -> str:
    """Connect, ask and leave."""
    with Lines(port) as client:
        return client.ask(line)


class Attempts:
    """A client in a thread that connects, asks and leaves, again and again.

    Attributes:
        outcomes: "served", "closed" for a connection that a process which ended had taken, or what went wrong.
        versions: first words of the answers.
    """

    def __init__(self, port: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._over.wait(PAUSE):
            self.outcomes[self._try()] += 1

    def _try(self) -> str:
        try:
            client = Lines(self._port)
        except OSError as error:
            return f"not connected: {error}"
        with client:
            try:
                answer = client.ask("x")
            except TimeoutError:
                return "left hanging"
            except OSError:
                return "closed"
        self.versions[answer.partition(" ")[0]] += 1
        return "served" if answer else "closed"

    def served(self, more: int = 10) -> None:
        """Wait until so many more have been."""
        enough = self.outcomes["served"] + more
        until(lambda: self.outcomes["served"] >= enough)

    @property
    def failures(self) -> set[str]:
        return set(self.outcomes) - {"served", "closed"}

    def __enter__(self) -> Attempts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

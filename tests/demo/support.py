"""The demo as a person starts it: by its command, on ports that are free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.ports import free_port, free_ports
from tidegate.process.control import ask

SECONDS = 20
"""Until what is waited for must have happened."""


class Demo:
    """A `tidegate demo` that runs."""

    def __init__(self, folder: Path, count: int) -> None:
        page, self.websocket, self.tcp, self.register = (free_port() for _ in range(4))
        self.url = f"http://127.0.0.1:{page}"
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", "demo", "--page", self.url, "--count", str(count),
             "--listen", f"websocket://127.0.0.1:{self.websocket}", "--tcp", f"tcp://127.0.0.1:{self.tcp}",
             "--register", f"127.0.0.1:{self.register}", "--start-port", str(free_ports(2 * count))],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TIDEGATE_RUN_DIR": str(folder), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        self.said = ""
        for line in self._process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                return
        raise RuntimeError("it did not start")

    def processes(self, role: str) -> list[dict[str, Any]]:
        """What runs under a name."""
        (path,) = self._folder.glob("*.sock")
        rows: list[dict[str, Any]] = ask(path, "status")["result"]["processes"]
        return [row for row in rows if row["role"].startswith(role)]

    def kill(self, role: str) -> None:
        """End all processes of a name, without a chance for them to do anything about it."""
        for row in self.processes(role):
            os.kill(row["pid"], signal.SIGKILL)

    def restart(self, role: str) -> None:
        """The same, and wait until there are others."""
        before = {row["pid"] for row in self.processes(role)}
        self.kill(role)
        deadline = time.monotonic() + SECONDS
        while any(row["state"] != "running" or row["pid"] in before for row in self.processes(role)):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        """Ctrl-C, and a clean end."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.stdout is not None
        with self._process.stdout:
            assert self._process.wait(SECONDS) == 0

"""Starting a cluster of `cluster_servers.py` as a user would, all of it on the server's core."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.processes import (
    ANSWER_SECONDS,
    FOLDER,
    POLL_SECONDS,
    START_SECONDS,
    BenchmarkError,
    cores,
    end,
    started_on,
)

__all__ = ["Cluster"]

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Cluster:
    """An app of a Register, a gateway and a worker. Ends with the `with` block.

    Attributes:
        port: where clients connect.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-bench-")
        self._log = Path(self._folder.name) / "log"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self._environment["TIDEGATE_RUN_DIR"] = self._folder.name
        register, inner = free_ports()
        self._environment |= {"BENCHMARK_REGISTER": str(register), "BENCHMARK_INNER": str(inner)}
        self.port = 0
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        with self._log.open("wb") as log, started_on(cores.server):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tidegate", "start", f"{FOLDER / 'cluster_servers.py'}:{self._app}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        self._folder.cleanup()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            time.sleep(POLL_SECONDS)
            if b"Ctrl-C ends it" not in self._log.read_bytes():
                continue
            rows = self._rows()
            self._pids = {row["kind"]: row["pid"] for row in rows}
            gateway = next(row for row in rows if row["kind"] == "Gateway")
            if gateway["extra"]["workers"]:
                self.port = int(gateway["listen"][0].rpartition(":")[2])
                return
        raise BenchmarkError(f"{self._app} did not start: {self._log.read_text().strip()}")

    def _rows(self) -> list[dict[str, Any]]:
        """What `tidegate status --json` says of the processes."""
        command = [sys.executable, "-m", "tidegate", "status", "--json"]
        done = subprocess.run(command, capture_output=True, env=self._environment, timeout=ANSWER_SECONDS)
        if done.returncode:
            raise BenchmarkError(f"tidegate status: {done.stderr.decode().strip()}")
        rows: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
        return rows

    @property
    def memory(self) -> int:
        """Bytes of memory that the gateway has."""
        return next(int(row["memory"]) for row in self._rows() if row["kind"] == "Gateway")

    def cpu(self) -> float:
        """Seconds of CPU time that gateway and worker have had together."""
        return sum(cpu_of(self._pids[kind]) for kind in ("Gateway", "BusinessWorker"))


def cpu_of(pid: int) -> float:
    """Seconds of CPU time that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError as error:
        raise BenchmarkError(f"process {pid} is gone") from error
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def free_ports() -> tuple[int, int]:
    """Two ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(2):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            ports.append(int(sock.getsockname()[1]))
    return ports[0], ports[1]

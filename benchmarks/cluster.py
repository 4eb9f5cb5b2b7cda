"""Starting an app of `apps.py` as a user would, all of it on the server's core."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.processes import (
    ANSWER_SECONDS,
    FOLDER,
    POLL_SECONDS,
    BenchmarkError,
    cpu_of,
    end,
    memory_of,
    start_logged,
)

__all__ = ["Cluster"]

START_SECONDS = 60
PORTS = 30_000, 32_700


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a cluster's processes."""

    pids: list[int]


class Cluster:
    """An app of a Register, gateways and a worker, or of a lone `Worker`. Ends with the `with` block.

    Args:
        app: its name in `apps.py`.
        gateways: processes of its gateway.
        nats: a URL, where the cluster is there and has no Register.
        environment: variables, with settings that `apps.py` leaves open.

    Attributes:
        port: where clients connect.
        register: the port of its Register.
        address: as push clients are given it.
    """

    def __init__(self, app: str, gateways: int = 1, nats: str | None = None, **environment: str) -> None:
        self._app, self._gateways = app, gateways
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-bench-")
        self._log = Path(self._folder.name) / "log"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
        self._environment["TIDEGATE_RUN_DIR"] = self._folder.name
        self.register, *inner = free_ports(gateways)
        self.address = nats or f"127.0.0.1:{self.register}"
        self._environment |= {
            "BENCHMARK_CLUSTER": self.address,
            "BENCHMARK_INNER": str(inner[0]),
            "BENCHMARK_GATEWAYS": str(gateways),
            **environment,
        }
        self.port = 0
        self._pids: dict[str, list[int]] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tidegate", "start", f"{FOLDER / 'apps.py'}:{self._app}"]
        self._process = start_logged(command, self._log, self._environment)
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
            rows = self.rows()
            doors = [row for row in rows if row["kind"] in ("Gateway", "Worker") and row["state"] == "running"]
            linked = [row for row in doors if row["kind"] == "Worker" or row["extra"]["workers"]]
            if len(linked) == self._gateways:
                for row in rows:
                    self._pids.setdefault(row["kind"], []).append(row["pid"])
                self.port = int(doors[0]["listen"][0].rpartition(":")[2])
                return
        raise BenchmarkError(f"{self._app} did not start: {self._log.read_text().strip()}")

    def rows(self) -> list[dict[str, Any]]:
        """What `tidegate status --json` says of the processes."""
        command = [sys.executable, "-m", "tidegate", "status", "--json"]
        done = subprocess.run(command, capture_output=True, env=self._environment, timeout=ANSWER_SECONDS)
        if done.returncode:
            raise BenchmarkError(f"tidegate status: {done.stderr.decode().strip()}")
        rows: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
        return rows

    @property
    def pids(self) -> list[int]:
        """Of the processes through which messages go."""
        return [pid for kind in ("Gateway", "BusinessWorker", "Worker") for pid in self._pids.get(kind, ())]

    def part(self, kind: str) -> Part:
        """The processes of a kind, to be measured by themselves."""
        return Part(self._pids[kind])

    def cpu(self, kind: str) -> float:
        """Seconds of CPU time that the processes of a kind have had."""
        return cpu_of(self._pids[kind])

    def memory(self, kind: str) -> int:
        """Bytes of memory that the processes of a kind have."""
        return memory_of(self._pids[kind])


def free_ports(gateways: int) -> list[int]:
    """A port that nothing listens on, and then one for each gateway, in a row.

    They are of those that the system gives to no connection: an app may take a while to listen on them.
    """
    for _ in range(100):
        first = random.randrange(*PORTS)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + gateways + 1):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return [*range(first, first + gateways + 1)]
    raise BenchmarkError(f"there are no {gateways} free ports in a row")

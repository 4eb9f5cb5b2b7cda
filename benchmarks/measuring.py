"""What benchmarks have in common: a time of load, and what it cost on each side."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Protocol, Self

from benchmarks import native
from benchmarks.processes import ANSWER_SECONDS, BenchmarkError, Helper, cpu_of
from benchmarks.wire import client_frame, upgrade_request

__all__ = [
    "BARE_ECHO",
    "BARE_SEND",
    "Cost",
    "Measured",
    "Speaker",
    "Spent",
    "echo_rate",
    "fanout_rate",
    "reference_name",
]

BARE_ECHO, BARE_SEND = "bare echo", "bare send loop"
WARM_UP_MILLISECONDS = 200


class Measured(Protocol):
    """A server, whatever it is."""

    @property
    def pids(self) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Cost:
    """Things done in a second, by the clock and by the server's CPU time; and the CPU time of the load by it."""

    clock: float
    cpu: float
    load: float


class Spent:
    """CPU time of a server and of the load from here on."""

    def __init__(self, server: Measured, clients: Helper) -> None:
        self._server, self._clients = server, clients
        self._before = cpu_of(server.pids), cpu_of(clients.pids)

    def rates(self, count: float, seconds: float) -> Cost:
        """Of what has been done since."""
        server = cpu_of(self._server.pids) - self._before[0]
        load = cpu_of(self._clients.pids) - self._before[1]
        return Cost(count / seconds, count / server, load / server)


def reference_name(name: str) -> str:
    """With what it is written in."""
    return f"{name} in {'C' if native.program('echo') else 'Python'}"


def echo_rate(server: Measured, clients: Helper, group: str, in_flight: int, milliseconds: int) -> Cost:
    """Messages that come back."""
    clients.ask("echo", group, in_flight, min(milliseconds, WARM_UP_MILLISECONDS))
    spent = Spent(server, clients)
    done = clients.ask("echo", group, in_flight, milliseconds)
    return spent.rates(done["messages"], done["seconds"])


def fanout_rate(server: Measured, clients: Helper, group: str, members: int, times: int, frames: int) -> Cost:
    """Frames that reach members, `frames` to each at a time."""
    spent = Spent(server, clients)
    done = clients.ask("fanout", group, times, frames)
    return spent.rates(members * times * frames, done["seconds"])


class Speaker:
    """A WebSocket of this process, by which a worker is told what to do. Ends with the `with` block."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self._socket.sendall(upgrade_request())
        if b"\r\n\r\n" not in self._socket.recv(65536):
            raise BenchmarkError("the handshake was not answered")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, *words: object) -> float:
        """Send a message; gives when that was."""
        now = time.monotonic()
        self._socket.sendall(client_frame(" ".join(map(str, words)).encode()))
        return now

    def wait(self) -> None:
        """Read the short answer."""
        if not self._socket.recv(65536).endswith(b"done"):
            raise BenchmarkError("the worker did not do as it was told")

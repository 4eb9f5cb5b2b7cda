"""Ports for servers that must be told one beforehand."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range that the system gives out by itself; each parallel runner has a part of its own.
FIRST, PER_RUNNER = 20_000, 500
_numbers = itertools.cycle(range(PER_RUNNER))


def free_port() -> int:
    """A TCP port that nothing listens on, given once in a while to this runner alone."""
    runner = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(PER_RUNNER):
        port = FIRST + runner * PER_RUNNER + next(_numbers)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def free_ports(count: int) -> int:
    """The first of so many in a row."""
    while True:
        first = free_port()
        if all(free_port() == first + number for number in range(1, count)):
            return first

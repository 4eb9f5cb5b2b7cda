"""Where a worker runs: by itself in a program of its own, or as a child of the supervisor."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from tidegate.net.address import Address
from tidegate.net.sockets import bind

__all__ = ["Context", "Standalone", "current", "enter", "is_supervised", "mark_supervised"]


class Context(Protocol):
    """What a worker needs of its process."""

    config: Mapping[str, Any]
    running: list[Any]  # the members that listen in this process
    is_first_start: bool  # the app starts as a whole: this is no successor of a process that died or is replaced

    async def listen(self, address: Address, reuse_port: bool) -> list[socket.socket]:
        """Give the listening sockets of an address."""
        ...

    def left(self, address: Address) -> None:
        """A worker listens there no more."""


class Standalone:
    """A process without a supervisor: sockets are its own."""

    def __init__(self) -> None:
        self.config: Mapping[str, Any] = {}
        self.running: list[Any] = []
        self.is_first_start = False  # nobody knows what ran before

    async def listen(self, address: Address, reuse_port: bool) -> list[socket.socket]:
        return bind(address, reuse_port)

    def left(self, address: Address) -> None:
        if address.scheme == "unix":
            with contextlib.suppress(OSError):
                os.unlink(address.path)


_context: Context = Standalone()
_supervised = False


def current() -> Context:
    """The running process's own."""
    return _context


def enter(context: Context) -> None:
    """Make it the process's own."""
    global _context
    _context = context


def mark_supervised() -> None:
    """This process is a child of the supervisor, also before it has a context."""
    global _supervised
    _supervised = True


def is_supervised() -> bool:
    """Whether it is one."""
    return _supervised

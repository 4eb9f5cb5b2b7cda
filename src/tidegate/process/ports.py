"""The supervisor's table of listening sockets, which outlive the processes that use them.

A connection attempt then waits in the kernel's queue while a process restarts, and where several processes share a
socket, one that keeps crashing takes nothing from the others.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.errors import AddressError
from tidegate.net.address import Address, parse_address
from tidegate.net.sockets import bind, local_address

if TYPE_CHECKING:
    from tidegate.process.slots import Process, Slot

__all__ = ["Ports"]


@dataclass(slots=True)
class Port:
    """The sockets of one address.

    Attributes:
        worker: whose main address it is; empty for one that a process opened besides.
        slot: the only one whose processes may have it; None for any.
        users: processes that were given it.
    """

    address: Address
    sockets: list[socket.socket]
    worker: str = ""
    slot: Slot | None = None
    users: set[Process] = field(default_factory=set)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        if self.address.scheme == "unix":
            with contextlib.suppress(OSError):
                os.unlink(self.address.path)


class Ports:
    """All of them."""

    def __init__(self) -> None:
        self._main: dict[tuple[str, str], Port] = {}  # by worker and address
        self._other: list[Port] = []

    def open_main(self, worker: str, address: str, reuse_port: bool) -> bool:
        """Listen on a worker's address; whether it had to be opened.

        Raises:
            AddressError: where it can't be had.
        """
        if (worker, address) in self._main:
            return False
        parsed = parse_address(address)
        self._main[worker, address] = Port(parsed, bind(parsed, reuse_port), worker)
        return True

    def close_main(self, worker: str, address: str) -> None:
        """Listen there no more."""
        port = self._main.pop((worker, address), None)
        if port is not None:
            port.close()

    def mains(self) -> set[tuple[str, str]]:
        """Workers and addresses that are open."""
        return set(self._main)

    def real_address(self, worker: str, address: str) -> str:
        """An address with the port that it has."""
        port = self._main.get((worker, address))
        return str(local_address(port.address, port.sockets[0])) if port else address

    def give(self, slot: Slot, process: Process, address: str, reuse_port: bool) -> list[socket.socket]:
        """Find or open the sockets that a process asks for.

        Raises:
            AddressError: where they can't be had, or belong to another process that does not share them.
        """
        main = self._main.get((slot.worker, address))
        if main is not None:
            return main.sockets
        parsed = parse_address(address)
        for port in self._other:
            if process in port.users and port.address == parsed:
                if parsed.port == 0 and parsed.scheme != "unix":
                    continue
                raise AddressError(f"can't listen on {address}: this process does already")
            if port.address == parsed and (port.slot is slot or (port.slot is None and reuse_port and parsed.port)):
                port.users.add(process)
                return port.sockets
            if port.address == parsed and parsed.port and port.slot is not None:
                raise AddressError(
                    f"can't listen on {address}: {port.slot.title} does already. "
                    "With reuse_port=True several processes of a worker may"
                )
        port = Port(parsed, bind(parsed, reuse_port), slot=None if reuse_port and parsed.port else slot)
        port.users.add(process)
        self._other.append(port)
        return port.sockets

    def left(self, process: Process, address: str, living: set[Process]) -> None:
        """A process that goes on has closed what it had opened besides its main address."""
        for port in tuple(self._other):
            if process in port.users and str(local_address(port.address, port.sockets[0])) == address:
                self._drop_users(port, {process} | (port.users - living))

    def prune(self, living: set[Process]) -> None:
        """Close what none of the processes uses that live after a reload."""
        for port in tuple(self._other):
            self._drop_users(port, port.users - living)

    def _drop_users(self, port: Port, gone: set[Process]) -> None:
        port.users -= gone
        if not port.users:
            port.close()
            self._other.remove(port)

    def close(self) -> None:
        """Close all."""
        for port in (*self._main.values(), *self._other):
            port.close()
        self._main.clear()
        self._other.clear()

"""The supervisor's table of listening sockets, which outlive the processes that use them.

A connection attempt then waits in the kernel's queue while a process restarts, and where several processes share a
socket, one that keeps crashing takes nothing from the others.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
        slot: of one that a process opened besides its main address, the only place whose processes may have it; None
            for any.
        users: processes that were given it then.
    """

    address: Address
    sockets: list[socket.socket]
    slot: Slot | None = None
    users: set[Process] = field(default_factory=set)

    def is_place(self, address: Address) -> bool:
        """Whether that is the same port or path, whatever is spoken there."""
        mine, other = self.address, address
        if "unix" in (mine.scheme, other.scheme):
            return mine == other
        both_udp = (mine.scheme == "udp") == (other.scheme == "udp")
        return both_udp and mine.port != 0 and (mine.host, mine.port) == (other.host, other.port)

    def is_at(self, address: str) -> bool:
        """Whether it has an address, with the port that it really has."""
        return str(local_address(self.address, self.sockets[0])) == address

    def add(self, process: Process) -> None:
        """Add a user; of those of its title that died one stays, so that the port does while there is none."""
        dead = [user for user in self.users if user.title == process.title and user.exited.done()]
        self.users.difference_update(dead[1:])
        self.users.add(process)

    def close(self, keep_path: bool = False) -> None:
        for sock in self.sockets:
            sock.close()
        if self.address.scheme == "unix" and not keep_path:
            with contextlib.suppress(OSError):
                os.unlink(self.address.path)


class Ports:
    """All of them."""

    def __init__(self) -> None:
        self._main: dict[tuple[str, str], Port] = {}  # by worker and address
        self._other: list[Port] = []

    def open_mains(self, topology: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
        """Listen wherever the topology says and nothing does yet, all of it or nothing; gives what was opened.

        A port whose worker has another name now, or speaks another protocol, passes on without a moment in which
        nothing listens.

        Raises:
            AddressError: where an address can't be had.
        """
        wanted = _mains(topology)
        free = [port for key, port in self._main.items() if key not in wanted]
        opened: list[tuple[str, str]] = []
        try:
            for key, reuse_port in wanted.items():
                if key in self._main:
                    continue
                address = parse_address(key[1])
                before = next((port for port in free if port.is_place(address)), None)
                if before is not None:
                    free.remove(before)
                sockets = [sock.dup() for sock in before.sockets] if before else bind(address, reuse_port)
                self._main[key] = Port(address, sockets)
                opened.append(key)
        except AddressError:
            for name, where in opened:
                self.close_main(name, where)
            raise
        return opened

    def keep_mains(self, topology: dict[str, dict[str, Any]]) -> None:
        """Listen on no main address but the topology's."""
        for name, address in self._main.keys() - _mains(topology).keys():
            self.close_main(name, address)

    def close_main(self, worker: str, address: str) -> None:
        """Listen there no more."""
        port = self._main.pop((worker, address))
        port.close(keep_path=any(other.is_place(port.address) for other in self._main.values()))

    def give(self, slot: Slot, process: Process, address: str, reuse_port: bool) -> list[socket.socket]:
        """Find or open the sockets that a process asks for.

        Raises:
            AddressError: where they can't be had, or belong to another process that does not share them.
        """
        parsed = parse_address(address)
        main = self._main.get((slot.worker, address))
        if main is not None and process not in main.users:  # its own comes first, another of port 0 is none of its
            main.add(process)
            return main.sockets
        for port in (main, *self._other):
            if port is None or port.address != parsed:
                continue
            if process in port.users:
                if parsed.port == 0 and parsed.scheme != "unix":
                    continue
                raise AddressError(f"can't listen on {address}: this process does already")
            others = {user.title for user in port.users if user.title != slot.title and not user.exited.done()}
            if port.slot is slot or (port.slot is None and parsed.port and (reuse_port or not others)):
                port.slot = None if reuse_port and parsed.port else slot
                port.add(process)
                return port.sockets
            if parsed.port or parsed.scheme == "unix":
                holder = port.slot.title if port.slot is not None else ", ".join(sorted(others))
                raise AddressError(
                    f"can't listen on {address}: {holder} does already. "
                    "With reuse_port=True several processes of a worker may"
                )
        port = Port(parsed, bind(parsed, reuse_port), slot=None if reuse_port and parsed.port else slot)
        port.users.add(process)
        self._other.append(port)
        return port.sockets

    def left(self, process: Process, address: str, living: set[Process]) -> None:
        """A process that goes on has closed what it had opened; main addresses stay."""
        for port in self._main.values():
            if process in port.users and port.is_at(address):
                port.users.discard(process)
                return
        for port in tuple(self._other):
            if process in port.users and port.is_at(address):
                self._drop_users(port, {process} | (port.users - living))

    def withdraw(self, process: Process) -> None:
        """A process that was to replace another does not start; close what it alone had."""
        for port in tuple(self._other):
            if process in port.users:
                self._drop_users(port, {process})

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


def _mains(topology: dict[str, dict[str, Any]]) -> dict[tuple[str, str], bool]:
    """Workers and main addresses, each with whether other programs may listen there too."""
    return {
        (worker["name"], worker["listen"]): worker["reuse_port"] for worker in topology.values() if worker["listen"]
    }

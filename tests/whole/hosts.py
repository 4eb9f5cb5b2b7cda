"""Machines that are network namespaces, with a switch between them and the test, and cables that can be cut."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

__all__ = ["Network", "network"]

T = TypeVar("T")

CLONE_NEWNET = 0x40000000


class Network:
    """Hosts, 10.77.0.1 and so on, and the test's own place at the switch, which reaches all that are plugged in.

    Args:
        count: of hosts.

    Attributes:
        hosts: names of their namespaces, by address.
    """

    def __init__(self, count: int = 2) -> None:
        self._prefix = f"tg{os.getpid()}"
        self.hosts = {f"10.77.0.{number}": f"{self._prefix}h{number}" for number in range(1, count + 1)}
        self._ports = {address: f"port{number}" for number, address in enumerate(self.hosts, 1)}
        self._switch = f"{self._prefix}s"

    def build(self) -> None:
        """Make it.

        Raises:
            CalledProcessError: it is not allowed here.
        """
        for name in (self._switch, *self.hosts.values()):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", self._switch, "link", "add", "switch", "type", "bridge")
        _run("ip", "-n", self._switch, "link", "set", "switch", "up")
        _run("ip", "-n", self._switch, "address", "add", "10.77.0.254/24", "dev", "switch")
        for address, name in self.hosts.items():
            port = self._ports[address]
            _run("ip", "-n", self._switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
            _run("ip", "-n", self._switch, "link", "set", port, "master", "switch", "up")
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Leave nothing of it."""
        for name in (*self.hosts.values(), self._switch):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def cut(self, is_cut: bool = True) -> None:
        """Have nothing that one host sends arrive at another, and nobody told of it; or let it arrive again."""
        for port in self._ports.values():
            _run("bridge", "-n", self._switch, "link", "set", "dev", port, "isolated", "on" if is_cut else "off")

    def unplug(self, address: str, is_out: bool = True) -> None:
        """Pull a host's cable out of the switch, or plug it in again."""
        _run("ip", "-n", self._switch, "link", "set", self._ports[address], "down" if is_out else "up")

    def command(self, address: str, *command: str) -> tuple[str, ...]:
        """A command, to be carried out on a host."""
        return ("ip", "netns", "exec", self.hosts[address], *command)

    def on(self, address: str | None, work: Callable[..., T], *args: Any) -> T:
        """Call something whose sockets are a host's, or the switch's; gives what it gives."""
        return _inside(self.hosts[address] if address is not None else self._switch, work, *args)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _inside(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call something in a thread of that namespace."""
    results: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with open(f"/run/netns/{name}") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"can't enter {name}")
            results.append(work(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def network(count: int = 2) -> Iterator[Network]:
    """One that is removed at the end; skips where it is not allowed."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("bridge"):
        pytest.skip("network namespaces need root and iproute2")
    network = Network(count)
    try:
        try:
            network.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces are not allowed here: {error.stderr.decode().strip()}")
        yield network
    finally:
        network.remove()

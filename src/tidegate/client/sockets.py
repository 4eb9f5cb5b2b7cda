"""Sockets to gateways."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

__all__ = ["make_socket", "split_address", "watch"]

KEEPALIVE_SECONDS = 55
"""Of silence, until the system asks whether the other side is there; as the original has it."""


def make_socket() -> socket.socket:
    """One that never blocks, sends at once, and notices when the other machine is gone."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
    return sock


def watch(sock: socket.socket) -> Callable[[], bool]:
    """Gives a function that tells whether there may be something to read, the end among it.

    It costs a third of trying to read, where there is nothing.
    """
    if not hasattr(select, "poll"):
        return lambda: True
    poll = select.poll()
    poll.register(sock, select.POLLIN)

    def has_come() -> bool:
        try:
            return bool(poll.poll(0))
        except RuntimeError:  # a signal's handler asks, in the middle of being told
            return True

    return has_come


def split_address(address: str) -> tuple[str, int]:
    """A gateway's, which is always IPv4."""
    host, _, port = address.rpartition(":")
    return host, int(port)

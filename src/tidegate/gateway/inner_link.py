"""A connection to the inner port, as the gateway keeps it: who is at its other end, and what waits of it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from tidegate.net.link import Link
from tidegate.wire.runs import Run, RunReader

if TYPE_CHECKING:
    from tidegate.gateway.inner import InnerPort
    from tidegate.gateway.peer import Peer

__all__ = ["InnerLink"]


class InnerLink(Link):
    """A connection to the inner port.

    Attributes:
        is_known: whether its first packet was right.
        worker: at its other end; None where it is a push client.
        unread: bytes of answers that were added while it was full.
        stopped: the tick since which nothing is done for it until it has read its answers; None where it is not so.
        backlog: runs of packets that wait for that.
    """

    __slots__ = ("_is_open_to_all", "_packets", "backlog", "is_known", "stopped", "unread", "worker")

    owner: InnerPort

    def __init__(self, owner: InnerPort, reader: RunReader, limit: int, sock: socket.socket | None) -> None:
        super().__init__(owner, reader, limit, sock)
        self._packets = reader
        self._is_open_to_all = not owner.has_secret
        self.is_known = False
        self.worker: Peer | None = None
        self.unread = 0
        self.stopped: int | None = None
        self.backlog: list[Run] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.owner.link_made(self)

    @property
    def is_amid(self) -> bool:
        """Whether a part of a command has come, from somebody who may send one."""
        return self._packets.is_amid and (self.is_known or self._is_open_to_all)

    def __str__(self) -> str:
        if self.worker is not None:
            return f"worker {self.worker.key}"
        ip, port = self.peer
        return f"{ip}:{port}"

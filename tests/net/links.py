"""A link as tests have it: its owner takes notes, its reader is a simple one, and its other end is a test's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

from tests.net.support import Client, until
from tidegate.errors import ProtocolError
from tidegate.net.link import Link

__all__ = ["CountingSocket", "Letters", "Owner", "linked"]


class Letters:
    """Reads single bytes as items, runs of one letter as one; `!` is a mistake."""

    def __init__(self) -> None:
        self.error: ProtocolError | None = None
        self.size = 0

    def feed(self, data: memoryview) -> list[Any]:
        text = bytes(data)
        self.size += len(text)
        if b"!" in text:
            self.error = ProtocolError("a cry")
            text = text[: text.index(b"!")]
        return [text] if text else []


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.reads: list[int] = []
        self.drained = 0
        self.lost: list[Exception | None] = []

    def link_received(self, link: Link, items: list[bytes]) -> None:
        self.reads.append(sum(map(len, items)))
        self.received += b"".join(items)

    def link_drained(self, link: Link) -> None:
        self.drained += 1

    def link_lost(self, link: Link, error: Exception | None) -> None:
        self.lost.append(error)


class CountingSocket(socket.socket):
    """Counts the writes that go past the transport."""

    writes: list[int]

    def send(self, data: Any, flags: int = 0) -> int:
        sent = super().send(data, flags)
        self.writes.append(sent)
        return sent


@contextlib.asynccontextmanager
async def linked(owner: Owner | None = None, *, small: bool = False, **how: Any) -> AsyncIterator[tuple[Link, Client]]:
    """A link, and the other end of its connection.

    Args:
        small: the system holds little of what is sent on it.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        if small:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        near = CountingSocket(socket.AF_INET, socket.SOCK_STREAM)
        near.writes = []
        if small:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        near.connect(server.getsockname())
        near.setblocking(False)
        far, _ = server.accept()
    far.setblocking(False)
    _, link = await asyncio.get_running_loop().create_connection(
        lambda: Link(owner or Owner(), Letters(), sock=near, **how), sock=near
    )
    with Client(far) as client:
        yield link, client
    link.destroy()
    await until(lambda: link.is_closed)

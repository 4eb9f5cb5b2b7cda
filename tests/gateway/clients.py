"""Some clients of a gateway, and a push client that does something to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Client, WebSocketClient, until
from tidegate.wire import commands, php

__all__ = ["Clients", "clients", "counted", "is_closed"]


class Clients:
    """Some clients of a gateway, a push client, and their connection ids."""

    def __init__(self, place: Place, push: Peer, sockets: list[WebSocketClient]) -> None:
        self.place = place
        self.push = push
        self.sockets = sockets
        self.ids = list(place.gateway.connections)

    async def do(self, command: int, at: int = -1, ext: bytes = b"", body: bytes = b"", flags: int = 1) -> None:
        await self.push.tell(command, self.ids[at] if at >= 0 else 0, ext, body, flags)

    async def ask(self, command: int, at: int = -1, ext: bytes | list[Any] | dict[str, Any] = b"") -> Any:
        number = self.ids[at] if at >= 0 else 0
        return php.loads(await self.push.ask(command, number, ext if isinstance(ext, bytes) else _json(ext)))

    async def got(self, *expected: list[str]) -> None:
        """Each client was sent so much, and no more."""
        await self.do(commands.SEND_TO_ALL, body=b"end")
        for socket, texts in zip(self.sockets, expected, strict=True):
            assert [await socket.read_text() for _ in range(len(texts) + 1)] == [*texts, "end"]

    @property
    def bad(self) -> int:
        return int(self.place.gateway.snapshot()["extra"]["bad_commands"])


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@contextlib.asynccontextmanager
async def clients(count: int = 3, **settings: Any) -> AsyncIterator[Clients]:
    async with gateway(**settings) as place:
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(await WebSocketClient.open(place.port)) for _ in range(count)]
            await until(lambda: len(place.gateway.connections) == count)
            yield Clients(place, stack.enter_context(await Peer.connect(place.inner)), sockets)


def counted(place: Place) -> dict[str, Any]:
    extra: dict[str, Any] = place.gateway.snapshot()["extra"]
    return extra


async def is_closed(peer: Client) -> bool:
    """Whether the gateway ends a connection without a word."""
    return await asyncio.wait_for(peer.read_to_end(), 5) == b""

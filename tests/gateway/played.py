"""A gateway process without sockets: all that is in one, on systems that a test plays.

Everything happens between two turns of its loop unless a test lets turns pass.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, TypeVar, cast
from unittest.mock import patch

from tests.net.stubs import System
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.event import Place
from tidegate.gateway.gateway import Gateway
from tidegate.gateway.inner import InnerPort
from tidegate.gateway.inner_link import InnerLink
from tidegate.gateway.router import Router
from tidegate.gateway.tables import Tables
from tidegate.net import batch
from tidegate.net.endpoint import Endpoint, Limits
from tidegate.protocols import WebSocket

__all__ = ["PlayedClient", "PlayedGateway", "PlayedLink"]

T = TypeVar("T")


class PlayedClient:
    """A client behind its handshake.

    Attributes:
        connection: the gateway's end.
        system: what lies between.
        is_compressed: whether its messages are.
    """

    def __init__(self, gateway: PlayedGateway, is_compressed: bool) -> None:
        self.is_compressed = is_compressed
        gateway.variant = 15 if is_compressed else 0
        self.system = System()
        self.connection = GatewayConnection(gateway.endpoint, cast("Any", self.system))
        self.system.protocol = self.connection
        self.connection.connection_made(self.system)
        self.id = self.connection.id

    def feed(self, data: bytes) -> None:
        """Send something, as far as it is read; what is not is gone."""
        feed(self.connection, self.system, data)

    def leave(self) -> None:
        """Be gone."""
        self.system.abort()

    @property
    def received(self) -> bytes:
        """All that was sent to it."""
        return b"".join(self.system.writes)


class PlayedLink:
    """A connection to the inner port."""

    def __init__(self, gateway: PlayedGateway) -> None:
        self.system = System()
        self.link: InnerLink = gateway.inner.make_connection(cast("Any", self.system))
        self.system.protocol = cast("Any", self.link)
        self.link.connection_made(self.system)

    def feed(self, data: bytes) -> None:
        feed(self.link, self.system, data)

    def leave(self) -> None:
        self.system.abort()

    def take(self) -> bytes:
        """What was sent to it since it was last asked."""
        taken = b"".join(self.system.writes)
        self.system.writes.clear()
        return taken

    def take_answers(self) -> list[bytes]:
        """The same as a push client reads it."""
        data, answers = self.take(), []
        while data:
            (size,) = struct.unpack_from("!I", data)
            answers.append(data[4 : 4 + size])
            data = data[4 + size :]
        return answers


class PlayedGateway:
    """One gateway process.

    Args:
        limits: of the clients' connections.
    """

    def __init__(self, max_packet_size: int = 10_485_760, max_groups: int = 10_000, **limits: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.variant = 0
        self._max_packet_size = max_packet_size
        self._max_groups = max_groups
        self._limits = Limits(**limits)
        self.play(self._begin)

    def _begin(self) -> None:
        self.owner = owner = Gateway("websocket://127.0.0.1:0")
        self.router = owner.router = Router(
            Place(0x7F000001, 2900, 7272),
            "least",
            wait_seconds=5,
            wait_limit=1024 * 1024,
            send_limit=1024 * 1024,
            max_packet_size=self._max_packet_size,
        )
        self.endpoint = Endpoint(
            "played",
            self._make_codec,
            owner._callbacks,
            self._limits,
            owner,
            connection_class=GatewayConnection,
            ids=owner._connection_ids(),
        )
        owner._endpoint = self.endpoint
        self.tables: Tables[GatewayConnection] = Tables(cast("Any", self.endpoint.connections))
        owner._tables = self.tables
        self.inner = InnerPort(
            "played",
            self.router,
            self.tables,
            self.endpoint,
            secret_key="",
            max_packet_size=self._max_packet_size,
            max_session_size=self._max_packet_size // 2,
            max_groups=self._max_groups,
            send_limit=1024 * 1024,
            pings=False,
        )

    def _make_codec(self) -> WebSocket:
        codec = WebSocket()
        codec.ready, codec.variant = True, self.variant
        return codec

    def play(self, act: Callable[..., T], *args: Any, turns: int = 0) -> T:
        """Do something in the loop, and let so many turns pass."""

        async def inside() -> T:
            result = act(*args)
            for _ in range(turns):
                await asyncio.sleep(0)
            return result

        with patch.object(batch, "send_many", batch.send_many_in_python):  # whose sockets may be played
            return self.loop.run_until_complete(inside())

    def connect(self, is_compressed: bool = False) -> PlayedClient:
        return self.play(PlayedClient, self, is_compressed)

    def link(self) -> PlayedLink:
        return self.play(PlayedLink, self)

    def settle(self, turns: int = 30) -> None:
        """Let all that is queued leave."""
        self.play(lambda: None, turns=turns)

    def end(self) -> None:
        """Close all, and see that nothing is left."""
        for connection in tuple(self.endpoint.connections.values()):
            self.play(connection.destroy)
        self.settle(5)
        self.loop.run_until_complete(self.inner.close(0))
        self.settle(5)
        self.play(self.router.release)
        self.play(self.endpoint.release)
        assert not self.tables.uids
        assert not self.tables.groups
        assert len(self.tables) == 0
        self.loop.close()


def feed(connection: Any, system: System, data: bytes) -> None:
    at = 0
    while at < len(data) and not system.is_over:
        buffer = connection.get_buffer(-1)
        piece = data[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        connection.buffer_updated(len(piece))
        at += len(piece)

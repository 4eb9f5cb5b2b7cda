"""A gateway in the test's own loop, and peers that are scripted: workers and push clients, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

from tests.net.support import Client
from tests.ports import free_port
from tidegate.gateway.gateway import Gateway
from tidegate.register.register import Register
from tidegate.wire import commands
from tidegate.wire.packet import HEADER_SIZE, Packet, PacketReader, pack

LOCAL = 0x7F000001


@dataclass
class Place:
    """Where a gateway that is being tested is."""

    gateway: Gateway
    port: int
    inner: int
    register: int


@contextlib.asynccontextmanager
async def gateway(
    address: str = "websocket://127.0.0.1:0", *, secret_key: str = "", register_ssl: Any = None, **settings: Any
) -> AsyncIterator[Place]:
    """A gateway with a Register of its own."""
    register = Register(f"127.0.0.1:{free_port()}", settle_seconds=0, secret_key=secret_key, cluster_ssl=register_ssl)
    await register.listen()
    assert register.address is not None
    inner = free_port()
    member = Gateway(
        address,
        start_port=inner,
        cluster=f"127.0.0.1:{register.address.port}",
        secret_key=secret_key,
        **settings,
    )
    member._has_register = True  # nobody is told of its port once it stops
    try:
        await member.listen()
        assert member.address is not None
        try:
            yield Place(member, member.address.port, inner, register.address.port)
        finally:
            await member.stop(seconds=1, whole=True)
    finally:
        await register.stop(seconds=0.5)


class Peer(Client):
    """A connection to a gateway's inner port."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = PacketReader()
        self._packets: list[Packet] = []

    @classmethod
    async def worker(cls, port: int, key: str = "test:0", *, secret_key: str = "", **more: Any) -> Self:
        """A BusinessWorker; with ``tidegate=1`` one of Tidegate's, which has read what the gateway says first."""
        peer = await cls.connect(port)
        body = json.dumps({"worker_key": key, "secret_key": secret_key, **more}).encode()
        await peer.send(pack(commands.WORKER_CONNECT, body=body))
        if more.get("tidegate"):
            packet = await peer.packet()
            assert (packet[0], json.loads(packet[3])) == (commands.PING, {"tidegate": 1})
        else:
            await peer.ask(commands.IS_ONLINE)  # it has been taken in
        return peer

    async def packet(self) -> Packet:
        """The next packet that the gateway sends."""
        while not self._packets:
            header = await self.read(HEADER_SIZE)
            (length,) = struct.unpack_from("!I", header)
            self._packets += self._reader.feed(header + await self.read(length - HEADER_SIZE))
        return self._packets.pop(0)

    async def event(self) -> tuple[int, int, bytes]:
        """The next event: command, connection id and body."""
        packet = await self.packet()
        return packet[0], packet[1], packet[4]

    async def silent(self, seconds: float = 0.05) -> None:
        """Nothing comes for a while."""
        with contextlib.suppress(TimeoutError):
            packet = await asyncio.wait_for(self.packet(), seconds)
            raise AssertionError(packet)

    async def tell(self, command: int, number: int = 0, ext: bytes = b"", body: bytes = b"", flags: int = 1) -> None:
        await self.send(pack(command, number, ext, body, flags))

    async def ask(self, command: int, number: int = 0, ext: bytes = b"") -> bytes:
        """Send a query as a push client does; gives the serialized answer."""
        await self.tell(command, number, ext)
        return await self.answer()

    async def answer(self) -> bytes:
        (length,) = struct.unpack("!I", await self.read(4))
        return await self.read(length)

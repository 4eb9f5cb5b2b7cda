"""A gateway that does as a test says, Tidegate's or such as PHP's is, and a worker, both in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self

from tests.cluster.support import ScriptedRegister, listing
from tests.net.support import until
from tests.ports import free_port
from tidegate.business.worker import BusinessWorker
from tidegate.wire import commands, php
from tidegate.wire.packet import HEADER, HEADER_SIZE, Packet, PacketReader, pack

LOCAL = 0x7F000001
CLIENT_PORT, GATEWAY_PORT = 50001, 7272
ONCE = b"i:0;"


def event(
    port: int, command: int, number: int, body: bytes = b"", *, ext: bytes = b"", flags: int = commands.SCALAR
) -> bytes:
    """A gateway's packet to a worker."""
    size = HEADER_SIZE + len(ext) + len(body)
    header = HEADER.pack(size, command, LOCAL, port, LOCAL, CLIENT_PORT, number, flags, GATEWAY_PORT, len(ext))
    return header + ext + body


class Peer:
    """One connection to a scripted gateway.

    Attributes:
        packets: those that came and were not taken yet.
        greeting: of a worker, what it says first; None of a push client.
    """

    def __init__(self, gateway: ScriptedGateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gateway = gateway
        self.packets: list[Packet] = []
        self.writes: list[list[int]] = []
        self.greeting: dict[str, Any] | None = None
        self.is_open = True
        self._reader = reader
        self._writer = writer
        self._arrived = asyncio.Event()

    def say(self, *data: bytes) -> None:
        self._writer.write(b"".join(data))

    def tell(self, command: int, number: int, body: bytes | str = b"", **how: Any) -> None:
        """Send an event."""
        self.say(event(self.gateway.port, command, number, body.encode() if isinstance(body, str) else body, **how))

    def message(self, number: int, body: bytes | str, **how: Any) -> None:
        self.tell(commands.ON_MESSAGE, number, body, **how)

    async def next(self, *wanted: int) -> Packet:
        """The next packet, or the next of these commands."""
        async with asyncio.timeout(10):
            while True:
                for at, packet in enumerate(self.packets):
                    if not wanted or packet[0] in wanted:
                        del self.packets[at]
                        return packet
                assert self.is_open, f"the link ended before {wanted}"
                self._arrived.clear()
                await self._arrived.wait()

    async def texts(self, count: int) -> list[str]:
        """What is sent to clients, as text."""
        return [(await self.next(commands.SEND_TO_ONE))[4].decode() for _ in range(count)]

    async def progress(self, started: int, finished: int) -> list[tuple[int, ...]]:
        """Wait for PROGRESS to be that far; gives the numbers that were named on the way."""
        names = []
        while True:
            packet = await self.next(commands.PROGRESS)
            if packet[3]:
                names.append(tuple(int.from_bytes(packet[3][at : at + 8]) for at in range(0, len(packet[3]), 8)))
            now = (int.from_bytes(packet[4][:8]), int.from_bytes(packet[4][8:]))
            assert now <= (started, finished), now
            if now == (started, finished):
                return names

    def hang_up(self) -> None:
        self._writer.transport.abort()

    async def serve(self) -> None:
        reader = PacketReader()
        try:
            while data := await self._reader.read(1 << 18):
                packets = reader.feed(data)
                self.writes.append([packet[0] for packet in packets])
                for packet in packets:
                    self._receive(packet)
        finally:
            self.is_open = False
            self._arrived.set()
            self._writer.transport.abort()

    def _receive(self, packet: Packet) -> None:
        command, number, _, _, body, *_ = packet
        gateway = self.gateway
        gateway.received.append(packet)
        if command == commands.WORKER_CONNECT:
            self.greeting = json.loads(body)
            gateway.links.append(self)
            if gateway.is_tidegate:
                self.say(pack(commands.PING, ext=b'{"tidegate":1}'))
            gateway.greeted(self)
        elif command == commands.QUERY:
            (asked,) = PacketReader().feed(body)
            answer = gateway.answer(asked)
            if answer is not None:
                self.say(pack(commands.QUERY, number, body=answer))
        elif self.greeting is None and (answer := gateway.answer(packet)) is not None:
            self.say(len(answer).to_bytes(4), answer)
        elif command == commands.DRAIN and gateway.answers_drain:
            self.say(pack(commands.DRAIN))
        if command not in gateway.passed_over:
            self.packets.append(packet)
            self._arrived.set()


class ScriptedGateway:
    """Notes what comes.

    Attributes:
        links: of workers, in the order in which they came.
        received: every packet of every connection.
        online: which clients SELECT finds.
        passed_over: commands that tests do not wait for.
        answer: gives the answer to a query; None for none.
        greeted: is called with each link of a worker's, before what the worker sends next.
    """

    def __init__(self, *, is_tidegate: bool = True, port: int | None = None) -> None:
        self.port = port or free_port()
        self.is_tidegate = is_tidegate
        self.answers_drain = True
        self.links: list[Peer] = []
        self.received: list[Packet] = []
        self.online: set[int] = set()
        self.passed_over = {commands.QUERY, commands.WORKER_CONNECT}
        self.answer: Callable[[Packet], bytes | None] = self.default_answer
        self.greeted: Callable[[Peer], None] = lambda peer: None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client_id(self, number: int) -> str:
        return f"7f000001{self.port:04x}{number:08x}"

    def default_answer(self, asked: Packet) -> bytes | None:
        if asked[0] == commands.IS_ONLINE:
            return ONCE
        if asked[0] == commands.SELECT:
            wanted = json.loads(asked[3])["where"]["connection_id"]
            return php.dumps({int(number): {"uid": None} for number in wanted if int(number) in self.online})
        return None

    async def link(self, count: int = 1) -> Peer:
        """The latest link, once there were so many."""
        await until(lambda: len(self.links) >= count)
        return self.links[count - 1]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for peer in self.links:
            peer.hang_up()
        for task in tuple(self._tasks):
            task.cancel()
        await until(lambda: not self._tasks)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await Peer(self, reader, writer).serve()
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


def names(gateways: Iterable[ScriptedGateway]) -> bytes:
    """Register's line about them."""
    gateways = tuple(gateways)
    ours = [gateway.address for gateway in gateways if gateway.is_tidegate]
    return listing(*(gateway.address for gateway in gateways), **({"tidegate": ours} if ours else {}))


@contextlib.asynccontextmanager
async def cluster(*gateways: ScriptedGateway) -> AsyncIterator[ScriptedRegister]:
    """A Register that names these gateways, which run."""
    async with ScriptedRegister(names(gateways)) as register, contextlib.AsyncExitStack() as stack:
        for gateway in gateways:
            await stack.enter_async_context(gateway)
        yield register


@contextlib.asynccontextmanager
async def running(worker: BusinessWorker) -> AsyncIterator[BusinessWorker]:
    """A worker that serves."""
    await worker.listen()
    try:
        yield worker
    finally:
        await worker.stop(seconds=1)


@contextlib.asynccontextmanager
async def serving(
    make: Callable[[str], BusinessWorker], *, is_tidegate: bool = True
) -> AsyncIterator[tuple[BusinessWorker, ScriptedGateway, Peer]]:
    """A worker, made of its Register's place, beside one gateway; gives the link between them too."""
    gateway = ScriptedGateway(is_tidegate=is_tidegate)
    async with cluster(gateway) as register, running(make(register.place)) as worker:
        yield worker, gateway, await gateway.link()


def extra(worker: BusinessWorker, name: str) -> int:
    return int(worker.snapshot()["extra"][name])

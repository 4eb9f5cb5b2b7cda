"""The hostile ones. They run in a process of their own, ``python -m tests.flood.attacks PORTS``, which is told on its
standard input which attack to make, with how many connections and for how long, and says what came of it.

An attack is a coroutine that is the life of one connection; so many live at a time, and who has ended is born again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import random
import socket
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, cast

from tests.clients import client_frame, upgrade_request

__all__ = ["ATTACKS", "Ports"]

AT_A_TIME = 200
"""Connections that are being opened, so that the flood is not one of the system's queue."""
DRIP_SECONDS = 0.2
READ = 64 * 1024
BOMB_SIZE = 8 * 1024 * 1024
"""What becomes of a message of 8 KB."""


@dataclass
class Ports:
    """Where the app's doors are: those for clients by their scheme, the inner port of the first, and the others."""

    doors: dict[str, int]
    inner: int
    register: int
    http: int
    control: str = ""

    @property
    def all(self) -> list[int | str]:
        """Everything that can be connected to."""
        return [*self.doors.values(), self.inner, self.register, self.http, self.control]


class Enemy(asyncio.Protocol):
    """One hostile connection.

    Attributes:
        transport: of it.
        gone: done when it has ended.
        head: what was answered first.
    """

    def __init__(self) -> None:
        self.transport = cast("asyncio.Transport", None)
        self.gone = asyncio.Event()
        self.head = b""
        self._opened = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._opened.is_set():
            self.head += data
            if b"\r\n\r\n" in self.head:
                self._opened.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        for event in (self.gone, self._room, self._opened):
            event.set()

    async def pour(self, data: bytes) -> None:
        """Send when there is room.

        Raises:
            ConnectionError: it has ended.
        """
        await self._room.wait()
        if self.gone.is_set():
            raise ConnectionResetError
        self.transport.write(data)
        await asyncio.sleep(0)

    async def shake_hands(self, *headers: str) -> None:
        """Become a WebSocket client.

        Raises:
            ConnectionError: it is not taken.
        """
        self.transport.write(upgrade_request("/", *headers))
        await self._opened.wait()
        if not self.head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError


@dataclass
class Field:
    """What an attack has to know, and to count."""

    ports: Ports
    count: int
    counter: Counter[str]
    opening: asyncio.Semaphore

    @contextlib.asynccontextmanager
    async def enemy(self, where: int | str, receive_buffer: int = 0) -> Any:
        loop = asyncio.get_running_loop()
        async with self.opening:
            if isinstance(where, str):
                transport, made = await loop.create_unix_connection(Enemy, where)
            else:
                sock = socket.socket()
                if receive_buffer:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, ("127.0.0.1", where))
                except BaseException:
                    sock.close()
                    raise
                transport, made = await loop.create_connection(Enemy, sock=sock)
        self.counter["connections"] += 1
        try:
            yield made
        finally:
            if not made.gone.is_set():
                transport.abort()

    @contextlib.asynccontextmanager
    async def browser(self, *headers: str, receive_buffer: int = 0) -> Any:
        async with self.enemy(self.ports.doors["websocket"], receive_buffer) as enemy:
            await enemy.shake_hands(*headers)
            self.counter["clients"] += 1
            yield enemy


# What they do


async def slowloris(field: Field) -> None:
    """A request that never ends, wherever there are requests."""
    begins = {
        field.ports.doors["websocket"]: upgrade_request("/" + "a" * 1000),
        field.ports.http: b"POST /api/send_to_all HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 1000,
        field.ports.register: b'{"event":"worker_connect","secret_key":"' + b"a" * 1000,
        field.ports.inner: (1000).to_bytes(4) + bytes((200,)) + bytes(900),
    }
    where = random.choice([*begins, field.ports.doors["websocket"]])
    async with field.enemy(where) as enemy:
        for byte in begins[where]:
            await enemy.pour(bytes((byte,)))
            await asyncio.sleep(DRIP_SECONDS)


async def silence(field: Field) -> None:
    """Connections that say nothing, at every door."""
    async with field.enemy(random.choice(field.ports.all)) as enemy:
        await enemy.gone.wait()


async def churn(field: Field) -> None:
    """Connections that go as soon as they are there, some in the middle of a handshake."""
    async with field.enemy(random.choice(field.ports.all)) as enemy:
        if random.random() < 0.5:
            await enemy.pour(upgrade_request("/")[: random.randrange(200)])
    await asyncio.sleep(0.01)


async def _frames(field: Field, frames: bytes, *, reads: bool = True) -> None:
    async with field.browser() as enemy:
        if not reads:
            enemy.transport.pause_reading()
        while True:
            await enemy.pour(frames)
            field.counter["bytes"] += len(frames)


async def tiny(field: Field) -> None:
    """Messages of one byte, as many as are taken."""
    await _frames(field, client_frame(0x81, b"x") * 500)


async def unread(field: Field) -> None:
    """Messages whose echoes are never read."""
    await _frames(field, client_frame(0x82, bytes(8192)), reads=False)


async def pings(field: Field) -> None:
    """Pings, whose pongs are read, and pings whose pongs are not."""
    await _frames(field, client_frame(0x89, bytes(125)) * 200, reads=random.random() < 0.5)


async def fragments(field: Field) -> None:
    """A message in fragments of one byte that never ends."""
    async with field.browser() as enemy:
        await enemy.pour(client_frame(0x02, b"x"))
        while True:
            await enemy.pour(client_frame(0x00, b"x") * 500)
            field.counter["bytes"] += 500


async def empty_fragments(field: Field) -> None:
    """One whose fragments have nothing in them, so that it is never too long."""
    async with field.browser() as enemy:
        await enemy.pour(client_frame(0x01, b""))
        while True:
            await enemy.pour(client_frame(0x00, b"") * 500)
            field.counter["fragments"] += 500


@functools.cache
def _bomb() -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflate.compress(bytes(BOMB_SIZE)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return client_frame(0xC2, packed[:-4])


async def bombs(field: Field) -> None:
    """Messages of 8 KB that are 8 MiB once decompressed."""
    async with field.browser("Sec-WebSocket-Extensions: permessage-deflate") as enemy:
        assert b"permessage-deflate" in enemy.head
        while True:
            await enemy.pour(_bomb())
            field.counter["bombs"] += 1


async def noise(field: Field) -> None:
    """Random bytes at every door, behind a right beginning or without one."""
    beginnings = (
        b"",
        upgrade_request("/"),
        b"GET / HTTP/1.1\r\n",
        b"POST /api/send_to_all HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\r\n",
        b'{"event":"worker_connect","secret_key":""}\n',
        b'{"op":"status"}\n' if random.random() < 0.1 else b'{"op":',
        (28 + 15).to_bytes(4) + bytes((202,)) + bytes(23) + b'{"secret_key":""}'[:15],
        (28).to_bytes(4),
        b"[" * 50_000,
    )
    async with field.enemy(random.choice(field.ports.all)) as enemy:
        await enemy.pour(random.choice(beginnings))
        for _ in range(random.randrange(1, 20)):
            await enemy.pour(os.urandom(random.randrange(1, 2000)))
            field.counter["bytes"] += 1000
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.random()):
                await enemy.gone.wait()


async def slow_readers(field: Field) -> None:
    """Clients that never read, while everybody is told much; one of them says it."""
    if field.counter["leaders"]:
        async with field.browser(receive_buffer=4096) as enemy:
            enemy.transport.pause_reading()
            await enemy.gone.wait()
        return
    field.counter["leaders"] += 1
    async with field.browser() as enemy:
        while True:
            field.counter["told"] += 1
            await enemy.pour(client_frame(0x81, b"all %d" % field.counter["told"]))
            await asyncio.sleep(field.count / 10_000)  # as many bytes a second, however many they are


Attack = Callable[[Field], Coroutine[Any, Any, None]]
ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        slowloris,
        silence,
        churn,
        tiny,
        unread,
        pings,
        fragments,
        empty_fragments,
        bombs,
        noise,
        slow_readers,
    )
}


async def attack(ports: Ports, name: str, count: int, seconds: float) -> Counter[str]:
    """Keep so many connections for so long; gives what was done."""
    field = Field(ports, count, Counter(), asyncio.Semaphore(AT_A_TIME))

    async def live() -> None:
        while True:
            try:
                await ATTACKS[name](field)
            except OSError as error:
                field.counter[type(error).__name__] += 1
                await asyncio.sleep(0.02)

    lives = [asyncio.create_task(live()) for _ in range(count)]
    done, _ = await asyncio.wait(lives, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in lives:
        task.cancel()
    await asyncio.gather(*lives, return_exceptions=True)
    for task in done:
        task.result()
    return field.counter


def main() -> None:
    ports = Ports(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(ports)), flush=True)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(attack(ports, **json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()

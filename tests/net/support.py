"""Running a worker beside its clients in one loop, and clients that are nothing but a socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.clients import client_frame, upgrade_request
from tidegate import Worker
from tidegate.net.loops import new_event_loop
from tidegate.net.reactor import Reactor
from tidegate.process import context

T = TypeVar("T")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}
DEADLINE = 20
"""Seconds for what has no reason to take one."""

DATA = Path(__file__).parents[1] / "data"
CERTIFICATE, KEY, LOCKED_KEY = (str(DATA / name) for name in ("localhost.crt", "localhost.key", "locked.key"))


class Runner:
    """Runs a test's coroutine in a loop of one kind, and sees that nothing is left of it."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._make_loop = make_loop

    def __call__(self, main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=self._make_loop) as runner:
            return runner.run(self._watched(main))

    async def _watched(self, main: Coroutine[Any, Any, T]) -> T:
        context.enter(context.Standalone())
        loop = asyncio.get_running_loop()
        problems: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, problem: problems.append(problem))
        async with asyncio.timeout(DEADLINE):
            result = await main
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        assert not problems, problems
        assert context.current().running == []
        assert loop not in Reactor._running
        return result


async def until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait for what nothing announces."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def turns(count: int = 3) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(worker: Worker) -> AsyncIterator[int]:
    """A worker that listens; gives its port."""
    await worker.listen()
    try:
        assert worker.address is not None
        yield worker.address.port
    finally:
        await worker.stop(seconds=0.5)


def stats(worker: Worker) -> dict[str, Any]:
    return worker.snapshot()


class Client:
    """A TCP connection without a buffer of its own on the way out, so that a test decides who reads when."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.was_reset = False
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1", receive_buffer: int | None = None) -> Self:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
        return cls(sock)

    @classmethod
    async def connect_unix(cls, path: str) -> Self:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
        return cls(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def _read(self, size: int = 256 * 1024) -> bool:
        try:
            data = await self._loop.sock_recv(self.sock, size)
        except ConnectionError:
            self.was_reset = True
            return False
        self._received += data
        return bool(data)

    async def read(self, count: int) -> bytes:
        while len(self._received) < count:
            assert await self._read(), f"the connection ended after {bytes(self._received)!r}"
        return self._take(count)

    async def read_until(self, separator: bytes) -> bytes:
        while separator not in self._received:
            assert await self._read(), f"the connection ended after {bytes(self._received)!r}"
        return self._take(self._received.index(separator) + len(separator))

    async def read_line(self) -> str:
        return (await self.read_until(b"\n")).decode().removesuffix("\n")

    async def read_to_end(self) -> bytes:
        while await self._read():
            pass
        return self._take(len(self._received))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def shut(self) -> None:
        """Send no more, and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class WebSocketClient(Client):
    """A WebSocket connection, frame by frame."""

    response = b""

    @classmethod
    async def open(cls, port: int, *first: bytes, headers: tuple[str, ...] = (), path: str = "/", **how: Any) -> Self:
        """Connect and shake hands.

        Args:
            first: frames that are sent in one piece with the request.
        """
        client = await cls.connect(port, **how)
        await client.send(upgrade_request(path, *headers) + b"".join(first))
        client.response = await client.read_until(b"\r\n\r\n")
        assert client.response.startswith(b"HTTP/1.1 101 "), client.response
        return client

    async def send_text(self, text: str) -> None:
        await self.send(client_frame(0x81, text.encode()))

    async def read_frame(self) -> tuple[int, bytes]:
        """The first byte of a frame, and its payload."""
        first, length = await self.read(2)
        if length == 126:
            length = int.from_bytes(await self.read(2))
        elif length == 127:
            length = int.from_bytes(await self.read(8))
        return first, await self.read(length)

    async def read_text(self) -> str:
        first, payload = await self.read_frame()
        assert first == 0x81, (first, payload)
        return payload.decode()

    async def read_close(self) -> tuple[int, str]:
        first, payload = await self.read_frame()
        assert first == 0x88, (first, payload)
        return int.from_bytes(payload[:2]), payload[2:].decode()


def close_frame(code: int = 1000, reason: str = "") -> bytes:
    """As a client sends it."""
    return client_frame(0x88, code.to_bytes(2) + reason.encode())


def trusting(certificate: str = CERTIFICATE) -> ssl.SSLContext:
    """A client's context that trusts a certificate, that of the tests unless given."""
    return ssl.create_default_context(cafile=certificate)


class SecureClient:
    """A TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, certificate: str = CERTIFICATE) -> SecureClient:
        context = trusting(certificate)
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost"))

    async def read_line(self) -> str:
        return (await self.reader.readline()).decode().removesuffix("\n")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

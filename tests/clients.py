"""Clients made of nothing but sockets, as the tutorials' own are."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os

MASK = b"\x01\x02\x03\x04"


def mask(payload: bytes) -> bytes:
    return bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def client_frame(first: int, payload: bytes) -> bytes:
    """A masked frame (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = bytes((first, 0x80 | 126)) + length.to_bytes(2)
    else:
        head = bytes((first, 0x80 | 127)) + length.to_bytes(8)
    return head + MASK + mask(payload)


def upgrade_request(path: str = "/", *headers: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *headers,
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Browser:
    """A WebSocket connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close_code: int | None = None

    @classmethod
    async def connect(
        cls, port: int, *first_messages: str, cookie: str | None = None, host: str = "127.0.0.1"
    ) -> Browser:
        reader, writer = await asyncio.open_connection(host, port)
        frames = b"".join(client_frame(0x81, message.encode()) for message in first_messages)
        headers = () if cookie is None else (f"Cookie: {cookie}",)
        writer.write(upgrade_request("/", *headers) + frames)
        response = await reader.readuntil(b"\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 101 "), response
        return cls(reader, writer)

    def send(self, message: str) -> None:
        self._writer.write(client_frame(0x81, message.encode()))

    def send_binary(self, message: bytes) -> None:
        self._writer.write(client_frame(0x82, message))

    async def receive(self) -> str | None:
        """The next message; None once the connection is closed, whose code is then known."""
        while True:
            try:
                first, length = await self._reader.readexactly(2)
                if length == 126:
                    length = int.from_bytes(await self._reader.readexactly(2))
                elif length == 127:
                    length = int.from_bytes(await self._reader.readexactly(8))
                payload = await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return None
            if first == 0x88:
                self.close_code = int.from_bytes(payload[:2])
                self._writer.write(client_frame(0x88, payload[:2]))
                return None
            if first == 0x89:
                self._writer.write(client_frame(0x8A, payload))
                continue
            return payload.decode()

    async def close(self) -> None:
        await end(self._writer)


class Backend:
    """A connection for lines of text."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Backend:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def write(self, data: str | bytes) -> None:
        self._writer.write(data.encode() if isinstance(data, str) else data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def read_line(self) -> str:
        return (await self._reader.readline()).decode().rstrip("\n")

    async def push(self, line: str) -> str:
        self.write(line + "\n")
        return await self.read_line()

    async def close(self) -> None:
        await end(self._writer)

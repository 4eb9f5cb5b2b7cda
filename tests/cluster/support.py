"""A Register that does as a test says, in the loop of the test; also such as PHP's does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from types import TracebackType
from typing import Any, Self

from tests.net.support import until
from tests.ports import free_port

PHP_REFUSAL = b"Bad request for Register service. Request info(IP:127.0.0.1, Request Buffer:...).\n"

ANSWERS_IN_HTTP = "what listens there answers in HTTP: it is a web server, or the public port of a WebSocket gateway"
STRANGERS = {
    "NATS": (
        b'INFO {"server_id":"NA","version":"2.12.0","headers":true,"max_payload":1048576}\r\n-ERR \'Unknown\'\r\n',
        "what listens there is a NATS server, whose address is written nats://{}",
    ),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", ANSWERS_IN_HTTP),
    "HTTP/0.9": (b"<!DOCTYPE HTML>\n<html>\n", ANSWERS_IN_HTTP),
}
"""What may listen where a Register was looked for: its first words, and what is said of it ({} is the address)."""


def listing(*addresses: str, **more: Any) -> bytes:
    """Register's line."""
    return json.dumps({"event": "broadcast_addresses", "addresses": list(addresses), **more}).encode() + b"\n"


class ScriptedRegister:
    """Notes the lines that come, and answers `worker_connect` with `answer`.

    Attributes:
        lines: those of all connections.
        answer: bytes for each that asks; None for no answer.
        first: bytes for each connection as soon as it is there.
        hangs_up: right behind the answer, or where there is none behind the first line.
        cuts_off: so many connections from the first on, behind their first line and without a word.
        resets: those, instead of closing them in good order.
    """

    def __init__(self, answer: bytes | None = listing(), *, hangs_up: bool = False, first: bytes = b"") -> None:
        self.port = free_port()
        self.answer = answer
        self.first = first
        self.hangs_up = hangs_up
        self.cuts_off = 0
        self.resets = False
        self.lines: list[dict[str, Any]] = []
        self.accepted = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Be gone, connections and all."""
        assert self._server is not None
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await until(lambda: not self._tasks)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.stop()

    def say(self, data: bytes) -> None:
        """Send something to all that are connected."""
        for writer in self.writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self.writers.append(writer)
        try:
            with contextlib.suppress(OSError):
                await self._talk(reader, writer)
        finally:
            self.writers.remove(writer)
            writer.transport.abort()
            self._tasks.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.first)
        while line := await reader.readline():
            message = json.loads(line)
            self.lines.append(message)
            if self.accepted <= self.cuts_off:
                if self.resets:
                    sock: socket.socket = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if message["event"] == "worker_connect" and self.answer is not None:
                writer.write(self.answer)
            if self.hangs_up:
                await writer.drain()
                writer.close()
                return

"""Clients of NATS that note what they are told."""

from __future__ import annotations

import asyncio
import itertools
import os
from types import TracebackType
from typing import Any, Self

from tests.cluster.nats.server import NatsServer
from tests.net.support import until
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import parse_nats

_numbers = itertools.count()


def namespace() -> str:
    """One that no other test has."""
    return f"t{os.getpid()}_{next(_numbers)}"


class Noting(NatsClient):
    """Notes messages, those of one read together, and states."""

    def __init__(self, *urls: str, **options: Any) -> None:
        self.batches: list[list[Message]] = []
        self.states: list[bool] = []
        super().__init__(parse_nats(urls), self.batches.append, on_state=self.states.append, **options)

    @property
    def messages(self) -> list[Message]:
        return [message for batch in self.batches for message in batch]

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    async def __aenter__(self) -> Self:
        self.start()
        await self.connected(10)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.stop()

    async def has(self, count: int) -> list[bytes]:
        """Wait for so many messages; gives their payloads."""
        await until(lambda: len(self.messages) >= count)
        return self.payloads


def noting(server: NatsServer, **options: Any) -> Noting:
    return Noting(f"{server.url}/{namespace()}", **options)


class ScriptedNats:
    """A server that says what a test has it say, in the loop of the test.

    Attributes:
        lines: of the clients, without their ends.
    """

    INFO = b'INFO {"version":"2.11.0","max_payload":1000,"headers":true}\r\n'

    def __init__(self, greeting: bytes = INFO, pong: bool = True) -> None:
        self.greeting = greeting
        self.pong = pong
        self.lines: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await until(lambda: not self._tasks)

    def say(self, data: bytes) -> None:
        for writer in self.writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.writers.append(writer)
        writer.write(self.greeting)
        try:
            while line := await reader.readline():
                self.lines.append(line.removesuffix(b"\r\n"))
                if line == b"PING\r\n" and self.pong:
                    writer.write(b"PONG\r\n")
        except OSError:
            pass
        finally:
            self.writers.remove(writer)
            writer.transport.abort()
            self._tasks.discard(task)

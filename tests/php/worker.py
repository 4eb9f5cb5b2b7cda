"""The original's BusinessWorker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from tests.php.client import PhpClient
from tests.php.packets import (
    JOIN_GROUP,
    ON_CLOSE,
    ON_CONNECT,
    ON_MESSAGE,
    ON_WEBSOCKET_CONNECT,
    PING,
    RETRY_SECONDS,
    SEND_TO_ONE,
    SET_SESSION,
    WORKER_CONNECT,
    Packet,
    Tasks,
    addresses_of,
    client_id,
    place_of,
    to_json,
)
from tidegate.wire import php

KNOWN = {
    ON_CONNECT: "onConnect",
    ON_MESSAGE: "onMessage",
    ON_CLOSE: "onClose",
    ON_WEBSOCKET_CONNECT: "onWebSocketConnect",
}

Handler = Callable[["PhpWorker", str, str, Any], Awaitable[None]]
"""Takes the worker, the event's name, the client id and the message; `worker.session` is $_SESSION."""


class PhpWorker:
    """One process of it: a link to each gateway, and one event after the other."""

    def __init__(self, register: int, handler: Handler, key: str = "php:0", secret: str = "") -> None:
        self.client = PhpClient(register, secret)
        self.events: list[tuple[str, str, Any]] = []
        self.session: Any = None
        self.strange: list[Any] = []
        self._register = register
        self._handler = handler
        self._key = key
        self._secret = secret
        self._addresses: list[str] = []
        self._links: dict[str, asyncio.StreamWriter] = {}
        self._connecting: set[str] = set()
        self._versions: dict[str, int] = {}
        self._tasks = Tasks()

    async def start(self) -> None:
        self._tasks.start(self._keep_register())

    async def stop(self) -> None:
        await self._tasks.stop()
        for writer in self._links.values():
            writer.close()

    async def linked(self, count: int) -> None:
        """Wait for links to so many gateways."""
        while len(self._links) < count:
            await asyncio.sleep(0.005)

    async def _keep_register(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._register)
                try:
                    writer.write(to_json({"event": "worker_connect", "secret_key": self._secret}) + b"\n")
                    while line := await reader.readline():
                        self._addresses = addresses_of(json.loads(line))
                        for address in self._addresses:
                            self._link(address)
                finally:
                    writer.close()
            await asyncio.sleep(RETRY_SECONDS)

    def _link(self, address: str) -> None:
        if address not in self._connecting:
            self._connecting.add(address)
            self._tasks.start(self._keep_gateway(address))

    async def _keep_gateway(self, address: str) -> None:
        host, _, port = address.partition(":")
        while address in self._addresses:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, int(port))
                body = to_json({"worker_key": self._key, "secret_key": self._secret})
                writer.write(Packet(WORKER_CONNECT, body=body).pack())
                self._links[address] = writer
                try:
                    while True:
                        await self._received(await Packet.read(reader))
                finally:
                    self._links.pop(address, None)
                    writer.close()
            await asyncio.sleep(RETRY_SECONDS)
        self._connecting.discard(address)

    async def _received(self, packet: Packet) -> None:
        if packet.command == PING:
            return
        if packet.command not in KNOWN or packet.flags & ~3:
            self.strange.append(packet)
            return
        client = client_id(packet.ip, packet.port, packet.connection_id)
        if packet.ext and client in self._versions and self._versions[client] != zlib.crc32(packet.ext):
            self.session = await self.client.getSession(client)
        else:
            self.session = php.loads_array(packet.ext) if packet.ext else None  # an object, were there bytes before it
        before = None if self.session is None else dict(self.session)
        message: Any = packet.body.decode(errors="replace") if packet.flags & 1 else php.loads(packet.body)
        self.events.append((KNOWN[packet.command], client, message))
        await self._handler(self, KNOWN[packet.command], client, message)
        if packet.command == ON_CLOSE:
            self._versions.pop(client, None)
        elif self.session != before:
            stored = php.dumps(self.session) if self.session is not None else b""
            self._send(client, Packet(SET_SESSION, ext=stored))
            self._versions[client] = zlib.crc32(stored)

    def _send(self, client: str, packet: Packet) -> None:
        host, port, packet.connection_id = place_of(client)
        self._links[f"{host}:{port}"].write(packet.pack())

    def sendToClient(self, client: str, message: str) -> None:  # noqa: N802
        self._send(client, Packet(SEND_TO_ONE, body=message.encode()))

    def joinGroup(self, client: str, group: str) -> None:  # noqa: N802
        self._send(client, Packet(JOIN_GROUP, ext=group.encode()))

    def sendToAllGateways(self, packet: Packet) -> None:  # noqa: N802
        for writer in self._links.values():
            writer.write(packet.pack())

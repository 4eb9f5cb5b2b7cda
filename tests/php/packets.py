"""Packets as the original packs them, and streams of them."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass, field
from typing import Any

RETRY_SECONDS = 0.1
"""Until a connection is made again; one second in the original."""
HEADER = struct.Struct("!IBIHIHIBHI")
SCALAR, RAW = 1, 2

ON_CONNECT, ON_MESSAGE, ON_CLOSE, PING, ON_WEBSOCKET_CONNECT = 1, 3, 4, 201, 205
SEND_TO_ONE, SEND_TO_ALL, KICK, DESTROY, UPDATE_SESSION, GET_ALL_SESSIONS = 5, 6, 7, 8, 9, 10
IS_ONLINE, BIND_UID, UNBIND_UID, SEND_TO_UID, GET_IDS_BY_UID, BATCH_GET_IDS_BY_UID = 11, 12, 13, 14, 15, 16
JOIN_GROUP, LEAVE_GROUP, SEND_TO_GROUP, GET_GROUP_SESSIONS, COUNT_GROUP = 20, 21, 22, 23, 24
SELECT, LIST_GROUPS, UNGROUP, BATCH_COUNT_GROUPS = 25, 26, 27, 28
WORKER_CONNECT, CLIENT_CONNECT, GET_SESSION, SET_SESSION = 200, 202, 203, 204


@dataclass
class Packet:
    """All fields of one."""

    command: int
    connection_id: int = 0
    ext: bytes = b""
    body: bytes = b""
    flags: int = SCALAR
    ip: int = 0
    port: int = 0
    client_ip: int = 0
    client_port: int = 0
    gateway_port: int = 0

    def pack(self) -> bytes:
        size = HEADER.size + len(self.ext) + len(self.body)
        head = (size, self.command, self.ip, self.port, self.client_ip, self.client_port, self.connection_id)
        return HEADER.pack(*head, self.flags, self.gateway_port, len(self.ext)) + self.ext + self.body

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Packet:
        """The next one.

        Raises:
            asyncio.IncompleteReadError: there is none.
        """
        head = HEADER.unpack(await reader.readexactly(HEADER.size))
        size, command, ip, port, client_ip, client_port, number, flags, gateway_port, ext_size = head
        rest = await reader.readexactly(size - HEADER.size)
        ext, body = rest[:ext_size], rest[ext_size:]
        return cls(command, number, ext, body, flags, ip, port, client_ip, client_port, gateway_port)


def client_id(ip: int, port: int, number: int) -> str:
    return struct.pack("!IHI", ip, port, number).hex()


def place_of(client: str) -> tuple[str, int, int]:
    """Address, inner port and connection id."""
    ip, port, number = struct.unpack("!IHI", bytes.fromhex(client))
    return ".".join(map(str, ip.to_bytes(4))), port, number


def to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/").encode()


async def ask_register(port: int, secret: str) -> list[str]:
    """What a push client does first; the addresses, each once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b'{"event":"worker_connect","secret_key":"%s"}\n' % secret.encode())
    line = await reader.readline()
    writer.close()
    return addresses_of(json.loads(line))


def addresses_of(message: dict[str, Any]) -> list[str]:
    addresses = message["addresses"]
    return list(dict.fromkeys(addresses.values() if isinstance(addresses, dict) else addresses))


@dataclass
class Tasks:
    """What runs beside the test; the first failure is raised at the end."""

    running: set[asyncio.Task[Any]] = field(default_factory=set)

    def start(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self.running.add(task)
        return task

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        results = await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()
        for result in results:
            if isinstance(result, Exception):
                raise result

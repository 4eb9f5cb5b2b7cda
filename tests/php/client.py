"""The original's GatewayClient: Register's list kept for a second, a connection for each command."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

from tests.php.packets import (
    BIND_UID,
    CLIENT_CONNECT,
    COUNT_GROUP,
    GET_IDS_BY_UID,
    GET_SESSION,
    IS_ONLINE,
    JOIN_GROUP,
    KICK,
    LEAVE_GROUP,
    SEND_TO_ALL,
    SEND_TO_GROUP,
    SEND_TO_ONE,
    SEND_TO_UID,
    SET_SESSION,
    UPDATE_SESSION,
    Packet,
    ask_register,
    client_id,
    place_of,
    to_json,
)
from tidegate.wire import php


class PhpClient:
    """Its methods have the names that they have in PHP."""

    def __init__(self, register: int, secret: str = "") -> None:
        self._register = register
        self._secret = secret
        self._addresses: list[str] = []
        self._asked = 0.0

    async def _gateways(self) -> list[str]:
        if time.monotonic() - self._asked > 1:
            self._addresses = await ask_register(self._register, self._secret)
            self._asked = time.monotonic()
        return self._addresses

    async def _send(self, address: str, packet: Packet, answers: bool = False) -> Any:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        if self._secret:
            writer.write(Packet(CLIENT_CONNECT, body=to_json({"secret_key": self._secret})).pack())
        writer.write(packet.pack())
        try:
            if answers:
                (size,) = struct.unpack("!I", await reader.readexactly(4))
                return php.loads(await reader.readexactly(size))
        finally:
            writer.close()
        return None

    async def _to_all(self, packet: Packet) -> None:
        for address in await self._gateways():
            await self._send(address, packet)

    async def _ask_all(self, packet: Packet) -> dict[str, Any]:
        return {address: await self._send(address, packet, True) for address in await self._gateways()}

    async def _to_one(self, client: str, command: int, ext: bytes = b"", body: bytes = b"", **more: Any) -> Any:
        host, port, number = place_of(client)
        answers = command in (IS_ONLINE, GET_SESSION)
        return await self._send(f"{host}:{port}", Packet(command, number, ext, body, **more), answers)

    async def sendToAll(self, message: str) -> None:  # noqa: N802
        await self._to_all(Packet(SEND_TO_ALL, body=message.encode()))

    async def sendToClient(self, client: str, message: str) -> None:  # noqa: N802
        await self._to_one(client, SEND_TO_ONE, body=message.encode())

    async def sendToUid(self, uid: Any, message: str) -> None:  # noqa: N802
        await self._to_all(Packet(SEND_TO_UID, ext=to_json([uid]), body=message.encode()))

    async def sendToGroup(self, group: Any, message: str) -> None:  # noqa: N802
        ext = to_json({"group": [group], "exclude": None})
        await self._to_all(Packet(SEND_TO_GROUP, ext=ext, body=message.encode()))

    async def closeClient(self, client: str) -> None:  # noqa: N802
        await self._to_one(client, KICK, body=b"N;", flags=0)

    async def isOnline(self, client: str) -> int:  # noqa: N802
        online: int = await self._to_one(client, IS_ONLINE)
        return online

    async def bindUid(self, client: str, uid: str) -> None:  # noqa: N802
        await self._to_one(client, BIND_UID, uid.encode())

    async def joinGroup(self, client: str, group: str) -> None:  # noqa: N802
        await self._to_one(client, JOIN_GROUP, group.encode())

    async def leaveGroup(self, client: str, group: str) -> None:  # noqa: N802
        await self._to_one(client, LEAVE_GROUP, group.encode())

    async def getSession(self, client: str) -> Any:  # noqa: N802
        return await self._to_one(client, GET_SESSION)

    async def setSession(self, client: str, session: dict[str, Any]) -> None:  # noqa: N802
        await self._to_one(client, SET_SESSION, php.dumps(session))

    async def updateSession(self, client: str, session: dict[str, Any]) -> None:  # noqa: N802
        await self._to_one(client, UPDATE_SESSION, php.dumps(session))

    async def getClientIdByUid(self, uid: str) -> list[str]:  # noqa: N802
        found = []
        for address, numbers in (await self._ask_all(Packet(GET_IDS_BY_UID, ext=uid.encode()))).items():
            host, _, port = address.partition(":")
            ip = int.from_bytes(bytes(map(int, host.split("."))))
            found += [client_id(ip, int(port), number) for number in numbers]
        return found

    async def getClientCountByGroup(self, group: str = "") -> int:  # noqa: N802
        return sum((await self._ask_all(Packet(COUNT_GROUP, ext=group.encode()))).values())

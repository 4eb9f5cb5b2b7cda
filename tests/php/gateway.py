"""The original's Gateway, with clients that are objects of the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import struct
from typing import Any

from tests.php import packets as p
from tests.php.packets import Packet, Tasks, client_id, to_json
from tidegate.wire import php, session

LOCAL = 0x7F000001


class PhpGatewayClient:
    """A client of it."""

    def __init__(self, gateway: PhpGateway, number: int) -> None:
        self.gateway = gateway
        self.number = number
        self.id = client_id(LOCAL, gateway.port, number)
        self.received: asyncio.Queue[str] = asyncio.Queue()
        self.session = b""
        self.uid: str | None = None
        self.groups: dict[str, None] | None = None
        self.worker: str | None = None
        self.is_open = True

    def send(self, text: str) -> None:
        self.gateway.event(self, p.ON_MESSAGE, text.encode())

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            del self.gateway.clients[self.number]
            self.gateway.event(self, p.ON_CLOSE)

    async def read(self, seconds: float = 5) -> str:
        return await asyncio.wait_for(self.received.get(), seconds)


class PhpGateway:
    """One process of it."""

    def __init__(self, port: int, register: int, secret: str = "") -> None:
        self.port = port
        self.clients: dict[int, PhpGatewayClient] = {}
        self.workers: dict[str, asyncio.StreamWriter] = {}
        self.strange: list[Any] = []
        self.commands: list[Packet] = []
        self._register = register
        self._secret = secret
        self._numbers = itertools.count(1)
        self._tasks = Tasks()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._tasks.start(self._announce())

    async def stop(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.close()
        await self._tasks.stop()
        await self._server.wait_closed()

    async def _announce(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._register)
                try:
                    line = {"event": "gateway_connect", "address": f"127.0.0.1:{self.port}", "secret_key": self._secret}
                    writer.write(to_json(line) + b"\n")
                    await reader.read()
                finally:
                    writer.close()
            await asyncio.sleep(p.RETRY_SECONDS)

    async def linked(self, count: int = 1) -> None:
        """Wait for so many workers."""
        while len(self.workers) < count:
            await asyncio.sleep(0.005)

    def connect(self) -> PhpGatewayClient:
        """A client comes."""
        client = PhpGatewayClient(self, next(self._numbers))
        self.clients[client.number] = client
        self.event(client, p.ON_CONNECT)
        return client

    def event(self, client: PhpGatewayClient, command: int, body: bytes = b"") -> None:
        if client.worker not in self.workers:
            if not self.workers:
                raise RuntimeError("the original closes a client for whom there is no worker")
            client.worker = next(iter(self.workers))
        packet = Packet(command, client.number, client.session, body)
        packet.ip, packet.port, packet.client_ip, packet.client_port, packet.gateway_port = (
            LOCAL,
            self.port,
            LOCAL,
            41000,
            7272,
        )
        self.workers[client.worker].write(packet.pack())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = None
        is_known = not self._secret
        self._writers.add(writer)
        try:
            while True:
                packet = await Packet.read(reader)
                if packet.command in (p.WORKER_CONNECT, p.CLIENT_CONNECT):
                    says = json.loads(packet.body)
                    if says["secret_key"] != self._secret:
                        return
                    is_known = True
                    if packet.command == p.WORKER_CONNECT:
                        key = says["worker_key"]
                        self.workers[key] = writer
                    continue
                if not is_known:
                    return
                self.commands.append(packet)
                answer = self._carry_out(packet)
                if answer is None:
                    continue
                if key is not None:
                    self.strange.append(("a query on a worker's link", packet))
                data = php.dumps(answer) if not isinstance(answer, bytes) else answer
                writer.write(struct.pack("!I", len(data)) + data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            if key is not None and self.workers.get(key) is writer:
                del self.workers[key]
            writer.close()

    def _carry_out(self, packet: Packet) -> Any:
        if packet.flags & ~3:
            self.strange.append(packet)
        client = self.clients.get(packet.connection_id)
        name = packet.ext.decode(errors="replace")
        match packet.command:
            case p.IS_ONLINE:
                return int(client is not None)
            case p.GET_SESSION:
                return None if client is None else client.session or []
            case p.COUNT_GROUP:
                return len(self._in_groups([name])) if name else len(self.clients)
            case p.GET_IDS_BY_UID:
                return [member.number for member in self.clients.values() if member.uid == name]
            case p.BATCH_COUNT_GROUPS:
                return {group: len(self._in_groups([group])) for group in map(str, json.loads(packet.ext))}
            case p.GET_ALL_SESSIONS:
                return {member.number: member.session for member in self.clients.values()}
            case p.GET_GROUP_SESSIONS:
                return {member.number: member.session for member in self._in_groups([name])}
            case p.LIST_GROUPS:
                return list({group: None for member in self.clients.values() for group in member.groups or ()})
            case p.SELECT:
                return self._select(json.loads(packet.ext))
            case p.SEND_TO_ALL:
                self._send_to_all(packet)
            case p.SEND_TO_UID:
                uids = list(map(str, json.loads(packet.ext)))
                self._deliver((member for member in self.clients.values() if member.uid in uids), packet)
            case p.SEND_TO_GROUP:
                what = json.loads(packet.ext)
                excluded = what["exclude"] or {}
                groups = self._in_groups(list(map(str, what["group"])))
                self._deliver((member for member in groups if str(member.number) not in excluded), packet)
            case p.UNGROUP:
                for member in self._in_groups([name]):
                    del (member.groups or {})[name]
            case _:
                self._about_one(packet, client, name)
        return None

    def _about_one(self, packet: Packet, client: PhpGatewayClient | None, name: str) -> None:
        match packet.command:
            case command if command not in (5, 7, 8, 9, 12, 13, 20, 21, 204):
                self.strange.append(packet)
            case _ if client is None:
                return
            case p.SEND_TO_ONE:
                self._deliver([client], packet)
            case p.KICK | p.DESTROY:
                if packet.command == p.KICK and packet.flags & 1:
                    self._deliver([client], packet)
                client.close()
            case p.SET_SESSION:
                client.session = packet.ext
            case p.UPDATE_SESSION:
                client.session = session.merge(client.session, packet.ext)
            case p.BIND_UID:
                client.uid = name or client.uid
            case p.UNBIND_UID:
                client.uid = None
            case p.JOIN_GROUP:
                client.groups = {**(client.groups or {}), name: None} if name else client.groups
            case p.LEAVE_GROUP:
                (client.groups or {}).pop(name, None)

    def _in_groups(self, names: list[str]) -> list[PhpGatewayClient]:
        return [client for name in names for client in self.clients.values() if name in (client.groups or ())]

    def _send_to_all(self, packet: Packet) -> None:
        what = json.loads(packet.ext) if packet.ext else {}
        members = list(self.clients.values())
        if "connections" in what:
            listed = what["connections"]
            wanted = set(listed.values() if isinstance(listed, dict) else listed)
            members = [member for member in members if member.number in wanted]
        excluded = what.get("exclude", {})
        self._deliver((member for member in members if str(member.number) not in excluded), packet)

    def _deliver(self, members: Any, packet: Packet) -> None:
        for member in list(members):
            member.received.put_nowait(packet.body.decode(errors="replace"))

    def _select(self, query: dict[str, Any]) -> dict[int, dict[str, Any]]:
        where = query["where"]
        found: dict[int, PhpGatewayClient] = {}
        if not where:
            found = dict(self.clients)
        for key, items in (where or {}).items():
            wanted = list(items.values() if isinstance(items, dict) else items)
            if key == "connection_id":
                found |= {number: self.clients[number] for number in wanted if number in self.clients}
            elif key == "uid":
                uids = set(map(str, wanted))
                found |= {c.number: c for c in self.clients.values() if c.uid in uids}
            else:
                found |= {c.number: c for c in self._in_groups(list(map(str, wanted)))}
        rows: dict[int, dict[str, Any]] = {}
        for number, client in found.items():
            groups = None if client.groups is None else {name: name for name in client.groups}
            values = {"uid": client.uid, "groups": groups, "session": client.session}
            rows[number] = {name: values.get(name) for name in query["fields"]}
        return rows

"""The hosts: each with a NATS server, two gateways and a worker, all in one cluster."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.clients import upgrade_request
from tests.cluster.nats.server import NatsServer
from tests.net.support import WebSocketClient
from tests.process.support import Foreground, Place
from tests.whole.hosts import Network, network
from tests.whole.test_api import CALLER
from tidegate.cluster.nats.announced import GATEWAYS
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.url import parse_nats
from tidegate.errors import ClusterError

__all__ = ["FOURTH", "HOSTS", "URL", "Host", "Machines", "Member", "machines"]

HOSTS = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
FOURTH = "10.77.0.4"
URL = ",".join(f"nats://{host}:4222" for host in HOSTS)
ROUTES = ", ".join(f'"nats://{host}:6222"' for host in HOSTS)
PINGS = 'ping_interval: "2s", ping_max: 2'
"""As docs/nats/nats.conf has it."""
DOORS = {"one": 7272, "two": 7273}
"""Gateways, and where their clients connect."""

APP = """
import json
from tidegate import App, BusinessWorker, Gateway

how = {{"cluster": "{url}", "zone": "{host}", "secret_key": "s3cret"}}
doors = {{"lan_ip": "{host}", "ping_interval": 0, **how}}
business = BusinessWorker(name="business", **how)
app = App(
    Gateway("websocket://0.0.0.0:7272", name="one", start_port=2900, **doors),
    Gateway("websocket://0.0.0.0:7273", name="two", start_port=2910, **doors),
    business,
)

@business.on_connect
def greet(client):
    client.send(f"hello {{client.id}}")

@business.on_message
async def serve(client, message):
    word, *rest = message.split(" ")
    if word.isdigit():
        client.send(f"{{message}} x {host}")
    elif word == "joins":
        for number in range(int(rest[0])):
            client.join_group(f"worker{{number}}")
            business.send_to_group(f"worker{{number}}", f"worker {{number}}")
    elif word == "tells":
        for number in range(int(rest[1])):
            business.send_to_group(rest[0], f"told {{number}}")
    elif word == "batch":
        first, count = map(int, rest)
        for number in range(first, first + count):
            business.send_to_group("room", f"{host} {{number}}")
        try:
            await business.flush()
        except Exception as error:
            client.send(f"unsure {{first}} {{error}}")
        else:
            client.send(f"sure {{first}}")
    else:
        await call(client, message)
""" + CALLER.replace("{", "{{").replace("}", "}}").replace("@business.on_message\n", "")


class Host:
    """One of the three.

    Attributes:
        server: of NATS.
    """

    def __init__(self, network: Network, folder: Path, address: str) -> None:
        folder.mkdir()
        self.address = address
        cluster = f'cluster {{ name: "c", listen: {address}:6222, {PINGS}, routes: [{ROUTES}] }}'
        self.server = NatsServer(folder, cluster, jetstream=True, name=folder.name, place=(address, 4222))
        self.place = Place(folder)
        self._network = network
        self._app: Foreground

    def start_server(self) -> None:
        self._network.on(self.address, self.server.start)

    def start(self) -> None:
        self.place.write(APP.format(url=URL, host=self.address))
        command = self._network.command(self.address, sys.executable, "-P", "-m", "tidegate", "start", "app.py")
        self._app = self.place.launch(*command)

    def ready(self) -> None:
        self._app.ready()

    def log(self) -> str:
        return self._app.err.read_text()

    def packets(self) -> list[int]:
        """That each of its gateways has received over NATS."""
        rows = [row for row in self.place.processes() if row["role"].startswith(tuple(DOORS))]
        return [row["extra"]["nats_packets"] for row in rows]

    def clear(self) -> None:
        self.place.clear()
        self.server.stop()


class Member:
    """A client on a host, and what it has heard."""

    def __init__(self, client: WebSocketClient, host: str, id: str) -> None:
        self.client, self.host, self.id = client, host, id
        self.heard: list[str] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            self.heard.append(await self.client.read_text())
            self._more.set()

    async def has(self, count: int, seconds: float = 30) -> list[str]:
        """Wait until it has heard so much; gives that, and forgets it."""
        async with asyncio.timeout(seconds):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()
        heard, self.heard[:] = self.heard[:], []
        return heard

    async def says(self, text: str) -> None:
        await self.client.send_text(text)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})
        self.client.sock.close()


class Machines:
    """All of them, and the fourth: what is called here is to be called there, with `Network.on`.

    Attributes:
        hosts: by their address.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.hosts = {address: Host(network, folder / f"n{number}", address) for number, address in enumerate(HOSTS, 1)}

    def start(self) -> None:
        """The servers, then everything else, as machines do: at the same time."""
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            list(pool.map(Host.start_server, self.hosts.values()))
        for host in self.hosts.values():
            host.start()
        for host in self.hosts.values():
            host.ready()

    def known(self) -> list[int]:
        """How many gateways each worker knows of."""
        rows = [row for host in self.hosts.values() for row in host.place.processes()]
        return [row["extra"]["nats_gateways"] for row in rows if row["role"].startswith("business")]

    def packets(self) -> list[int]:
        """Of all gateways."""
        return [count for host in self.hosts.values() for count in host.packets()]

    async def connect(self, host: str, door: str = "one") -> WebSocketClient:
        """Have a client of a gateway's, on the host that it is on."""
        sock = self.network.on(host, socket.create_connection, ("127.0.0.1", DOORS[door]), 10)
        sock.setblocking(False)
        client = WebSocketClient(sock)
        await client.send(upgrade_request("/"))
        assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return client

    async def member(self, host: str, door: str = "one") -> Member:
        client = await self.connect(host, door)
        word, id = (await client.read_text()).split()
        assert word == "hello"
        return Member(client, host, id)

    @contextlib.asynccontextmanager
    async def members(self) -> AsyncIterator[list[Member]]:
        """One of each gateway."""
        async with contextlib.AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(await self.member(host, door)) for host in self.hosts for door in DOORS
            ]

    async def leader(self) -> str:
        """The host whose server leads the bucket, once there is one."""
        names = {host.server.name: address for address, host in self.hosts.items()}
        async with bucket(URL) as found, asyncio.timeout(30):
            while True:
                with contextlib.suppress(ClusterError):  # there is none
                    info = await found._api("STREAM.INFO", {})
                    if (leader := info["cluster"].get("leader")) in names:
                        return names[leader]
                await asyncio.sleep(0.1)

    async def whole(self, seconds: float = 30) -> None:
        """Wait until each server names all gateways: one that was away has to catch up."""
        async with asyncio.timeout(seconds):
            for address in self.hosts:
                async with bucket(f"nats://{address}:4222") as found:
                    while len(await self._gateways(found)) < len(self.hosts) * len(DOORS):
                        await asyncio.sleep(0.05)

    async def _gateways(self, found: Bucket) -> dict[str, bytes]:
        try:
            return (await found.look_up(GATEWAYS)).entries
        except ClusterError:
            return {}


@contextlib.asynccontextmanager
async def bucket(url: str) -> AsyncIterator[Bucket]:
    """That of the members, on a connection of its own."""
    client = NatsClient(parse_nats([url]), lambda _: None)
    client.start()
    try:
        await client.connected(10)
        yield Bucket(client, client.subjects.bucket)
    finally:
        await client.stop()


@contextlib.contextmanager
def machines(folder: Path) -> Iterator[Machines]:
    """Made and started, and removed at the end."""
    with network(4) as made:
        found = Machines(made, folder)
        try:
            found.start()
            yield found
        finally:
            for host in found.hosts.values():
                host.clear()

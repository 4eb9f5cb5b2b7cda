"""The cable between two hosts of a cluster is cut, and nobody is told: each goes on by itself, until it is whole."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.support import WebSocketClient
from tests.process.support import HURRIED, Foreground, Place, until
from tests.whole.hosts import Network, network
from tests.whole.test_faults import Talker
from tidegate import GatewayClient
from tidegate.errors import ClusterError

ONE, TWO = "10.77.0.1", "10.77.0.2"
CLUSTER = f"{ONE}:1236"

CODE = """
from tidegate import App, BusinessWorker, Gateway, Register

business = BusinessWorker(cluster="{cluster}", secret_key="s3cret")
app = App(
    {register}
    Gateway("websocket://0.0.0.0:7272", name="web", lan_ip="{host}", cluster="{cluster}", secret_key="s3cret",
            ping_interval=0),
    business,
)

@business.on_connect
def greet(client):
    client.send("hello")

@business.on_message
def answer(client, message):
    if message == "join":
        client.join_group("room")
        client.send("joined")
    elif message == "tell":
        business.send_to_group("room", "told by {host}")
    else:
        client.send(f"{{message}} x {host}")
"""

HURRY = """
from tidegate.net import silence
silence.SECONDS = 2.0
"""


class Host:
    """A machine with an app."""

    def __init__(self, network: Network, folder: Path, host: str) -> None:
        folder.mkdir()
        self.place = Place(folder)
        register = f'Register("{CLUSTER}", secret_key="s3cret"),' if host == ONE else ""
        self.place.write(CODE.format(cluster=CLUSTER, host=host, register=register))
        entry = self.place.write(HURRIED.replace("CHANGES", HURRY), "hurried.py")
        command = network.command(host, sys.executable, "-P", str(entry), "start", "app.py")
        self.app: Foreground = self.place.launch(*command)

    def count(self, role: str, name: str) -> int:
        rows = [row for row in self.place.processes() if row["role"].startswith(role)]
        return sum(row["extra"].get(name, 0) for row in rows)


class Hosts:
    """Both of them."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.one, self.two = (Host(network, folder / host, host) for host in (ONE, TWO))
        for host in (self.one, self.two):
            host.app.ready()

    def are_linked(self) -> bool:
        """Whether each worker has both gateways."""
        return all(host.count("business", "gateways") == 2 for host in (self.one, self.two))

    def log(self) -> str:
        return "".join(host.app.err.read_text() for host in (self.one, self.two))


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with network() as made:
        hosts = Hosts(made, tmp_path)
        try:
            yield hosts
        finally:
            for host in (hosts.one, hosts.two):
                host.place.clear()


async def come(host: str, count: int) -> list[WebSocketClient]:
    clients = []
    for _ in range(count):
        clients.append(await WebSocketClient.open(7272, host=host))
        assert await clients[-1].read_text() == "hello"
    return clients


async def listen(host: str, by: str = "") -> WebSocketClient:
    """A client that is in the room, served by that host, where it matters which."""
    others = []
    while True:
        [client] = await come(host, 1)
        await client.send_text("whose")
        if (await client.read_text()).endswith(by):
            break
        others.append(client)
    for other in others:
        other.sock.close()
    await client.send_text("join")
    assert await client.read_text() == "joined"
    return client


async def served(talkers: list[Talker], by: str) -> None:
    """Wait until each has been answered by that host from now on."""
    for talker in talkers:
        talker.pids.clear()
    async with asyncio.timeout(15):
        while not all(by in talker.pids for talker in talkers):
            await asyncio.sleep(0.02)


def push(hosts: Hosts, text: str) -> None:
    """Push to the room from the first host, and see that it was done."""

    def work() -> None:
        with GatewayClient(CLUSTER, secret_key="s3cret", timeout=1, connect_timeout=1) as client:
            client.send_to_group("room", text)
            client.flush()

    hosts.network.on(ONE, work)


def pushed(hosts: Hosts, text: str) -> bool:
    """Whether it works."""
    try:
        push(hosts, text)
    except ClusterError:
        return False
    return True


def test_each_side_of_a_cut_cable_serves_its_clients_and_all_is_back_once_it_is_whole(hosts: Hosts) -> None:
    until(hosts.are_linked)
    hosts.network.on(None, asyncio.run, _cut_and_heal(hosts))
    assert "has confirmed nothing for 2 s" in hosts.log()
    for host in (hosts.one, hosts.two):
        assert host.count("web", "events_lost") == host.count("web", "events_dropped") == 0


async def _counted_or_late(hosts: Hosts, far: WebSocketClient) -> None:
    """Wait until what was said into the cut cable is counted as lost, or arrives: the link that it was on need not have
    been the one that broke, and sends again only now and then."""
    late = asyncio.create_task(far.read_text())
    try:
        async with asyncio.timeout(20):
            while not late.done():
                for name in ("sends_failed", "bytes_lost"):
                    if await asyncio.to_thread(hosts.one.count, "business", name):
                        return
        assert late.result() == f"told by {ONE}"
    finally:
        late.cancel()


async def _cut_and_heal(hosts: Hosts) -> None:
    here, there = await come(ONE, 6), await come(TWO, 6)
    near, far = await listen(ONE, by=ONE), await listen(TWO)
    ours, theirs = [Talker(client) for client in here], [Talker(client) for client in there]
    try:
        async with asyncio.TaskGroup() as group:
            for talker in (*ours, *theirs):
                group.create_task(talker.talk())
            await asyncio.to_thread(push, hosts, "one")
            assert await near.read_text() == await far.read_text() == "one"
            await asyncio.to_thread(hosts.network.cut)
            began = time.monotonic()
            await near.send_text("tell")
            assert await near.read_text() == f"told by {ONE}"  # which is lost to the other host, or late
            with pytest.raises(ClusterError, match=TWO):
                await asyncio.to_thread(push, hosts, "two")
            await served(ours, ONE)
            await served(theirs, TWO)
            assert time.monotonic() - began < 12
            await asyncio.to_thread(hosts.network.cut, False)
            await asyncio.to_thread(until, hosts.are_linked)
            await asyncio.to_thread(until, lambda: pushed(hosts, "three"))
            heard = {client: [await client.read_text()] for client in (near, far)}
            for client, texts in heard.items():
                while texts[-1] != "three":
                    texts.append(await client.read_text())
            assert heard[near][0] == "two"
            if f"told by {ONE}" not in heard[far]:
                await _counted_or_late(hosts, far)
            for talker in (*ours, *theirs):
                talker.stop()
    finally:
        for client in (*here, *there, near, far):
            client.sock.close()

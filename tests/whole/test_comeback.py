"""A worker that dies and comes back: what it sends from then on reaches the clients of every gateway."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.net.support import Client, WebSocketClient
from tests.process.support import Place
from tests.whole.support import Cluster, browsers, in_time, terminals

FAR = """
from tidegate.business import keeper, muster

muster.SECONDS = {seconds}
connect_link = keeper.connect_link

async def connect_from_afar(link_class, host, port, *args, **more):
    await asyncio.sleep(port % 4 * 0.1)
    return await connect_link(link_class, host, port, *args, **more)

keeper.connect_link = connect_from_afar
"""
"""The way to some of the gateways is longer, and the worker waits for all with greeting them, or for none."""

CHAT = """
@business.on_connect
def come(client):
    client.join_group("room")
    client.send(f"hello {client.id}")

@business.on_message
def say(client, message):
    business.send_to_group("room", f"{os.getpid()} {message}")
"""
MEMBERS = 6
"""Of each gateway: so many that hardly any process of theirs has none."""


async def read(client: Client | WebSocketClient) -> list[str]:
    line = await (client.read_text() if isinstance(client, WebSocketClient) else client.read_line())
    return line.split()


async def say(client: Client | WebSocketClient, text: str) -> None:
    await (client.send_text(text) if isinstance(client, WebSocketClient) else client.send(f"{text}\n".encode()))


@pytest.mark.parametrize("seconds", [2, 0], ids=["links together", "links one by one"])
def test_a_worker_that_is_back_reaches_the_clients_of_all_gateways(place: Place, seconds: int) -> None:
    cluster = Cluster(place, FAR.format(seconds=seconds) + CHAT, workers=1, terminals=True)

    async def main() -> None:
        async with browsers(cluster, MEMBERS) as web, terminals(cluster, MEMBERS) as lines:
            members: list[Any] = [*web, *lines]
            for member in members:
                assert (await read(member))[0] == "hello"
            pids = set()
            for turn in range(2):
                pids.add(await _kill(cluster))
                # Each is an event of one gateway's, which may be the first that the new worker is linked to.
                texts = [f"{turn}-{number}" for number in range(len(members))]
                await asyncio.gather(*(say(member, text) for member, text in zip(members, texts, strict=True)))
                for member in members:
                    heard = [await read(member) for _ in members]
                    assert sorted(text for _, text in heard) == sorted(texts)
                    assert not {int(pid) for pid, _ in heard} & pids
            assert (await asyncio.to_thread(cluster.counters, "business"))["sends_failed"] == 0

    in_time(main(), 50)


async def _kill(cluster: Cluster) -> int:
    """Kill the worker; gives the process that it was."""
    [pid] = await asyncio.to_thread(cluster.pids, "business")
    os.kill(pid, signal.SIGKILL)
    return pid

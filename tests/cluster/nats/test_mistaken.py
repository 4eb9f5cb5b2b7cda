"""A NATS server whose address was written as a Register's, and what each member of a cluster says of it."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from tests.cluster.nats.server import NatsServer
from tests.net.support import until
from tidegate import AsyncGatewayClient, GatewayClient
from tidegate.cluster.announcement import Announcement
from tidegate.cluster.directory import Directory
from tidegate.cluster.nats import connector
from tidegate.errors import ClusterError


@pytest.fixture
def place(nats: NatsServer) -> str:
    return nats.url.removeprefix("nats://")


def told_of(place: str) -> str:
    return f"what listens there is a NATS server, whose address is written nats://{place}"


async def push(place: str) -> None:
    async with AsyncGatewayClient(place) as client:
        await client.send_to_all("hello")


def test_push_clients_say_how_its_address_is_written(place: str) -> None:
    told = f"^Register {place} gave no list: {told_of(place)}$"
    with GatewayClient(place) as client, pytest.raises(ClusterError, match=told):
        client.send_to_all("hello")
    with pytest.raises(ClusterError, match=told):
        asyncio.run(push(place))


def test_gateways_and_workers_say_how_its_address_is_written(place: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        members = Announcement([place], "127.0.0.1:2900", ""), Directory([place], "", lambda _: None)
        for member in members:
            member.start()
        await until(lambda: len(caplog.records) == len(members))
        for member in members:
            await member.stop()

    asyncio.run(main())
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    told = f"Register {place}: {told_of(place)}. Trying again every 1 s until it is there"
    assert caplog.messages == [told, told]


def test_what_says_nothing_may_be_no_nats_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        told = f"{place} took the connection and says nothing: what listens there may be no NATS server"
        with GatewayClient(f"nats://{place}", connect_timeout=0.2) as client, pytest.raises(ClusterError, match=told):
            client.send_to_all("hello")

        async def main() -> None:
            async with AsyncGatewayClient(f"nats://{place}", connect_timeout=2) as client:
                with pytest.raises(ClusterError, match=told):
                    await client.send_to_all("hello")

        asyncio.run(main())

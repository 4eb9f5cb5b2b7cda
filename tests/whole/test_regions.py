"""A cluster on NATS that spans regions: some of it is at a leaf node, which keeps nothing or things of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.nats.server import NatsServer, hub_and_leaf
from tests.net.support import until
from tests.whole.members import END, heard, in_loop, on_nats
from tidegate import BusinessWorker

JOINS = 10


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not there yet is not waited for, and soon asked again."""
    monkeypatch.setattr("tidegate.gateway.presence.ANNOUNCE_SECONDS", 0.2)
    monkeypatch.setattr("tidegate.gateway.nats.RETRY_SECONDS", 0.05)
    monkeypatch.setattr("tidegate.gateway.nats.OPEN_SECONDS", 0.2)
    monkeypatch.setattr("tidegate.cluster.nats.lease.ALONE_SECONDS", 0.2)


@pytest.fixture(scope="module", params=["keeps nothing", "keeps things of its own"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[NatsServer, NatsServer]]:
    """A hub and a leaf node."""
    hub, leaf = hub_and_leaf(tmp_path_factory.mktemp("nats"), leaf_keeps=request.param != "keeps nothing")
    with hub, leaf:
        yield hub, leaf


def test_pushes_and_queries_go_from_a_leaf_node_to_its_hub_and_back(servers: tuple[NatsServer, NatsServer]) -> None:
    def answers(worker: BusinessWorker) -> None:
        @worker.on_message
        async def on_message(client: Any, message: str) -> None:
            client.join_group(message)
            worker.send_to_group(message, "of its group")
            client.send(f"{await worker.get_all_client_count()} are here")

    async def test() -> None:
        async with on_nats(servers[0]) as hub:
            leaf = hub.beside(servers[1], "js_domain=hub")
            sides = [hub, leaf]
            members = [await side.gateway() for side in sides]
            await hub.worker(set_up=answers)
            (ann, a), (ben, b) = [await member.connect() for member in members]
            for name, client in (("ann", a), ("ben", b)):
                await client.send_text(f"{name}'s own")
                assert await client.read_text() == "of its group"
                assert await client.read_text() == "2 are here"
            clients, far = [side.client() for side in sides], [side.blocking() for side in sides[::-1]]
            for joins, pushes, blocking in zip(clients, clients[::-1], far, strict=True):
                for number in range(JOINS):
                    for id in (ann, ben):
                        await joins.join_group(id, f"{number}")
                    await joins.flush()
                    await pushes.flush()
                    await pushes.send_to_group(f"{number}", f"{number}")
                    await asyncio.to_thread(blocking.send_to_group, f"{number}", f"{number}")
                await asyncio.to_thread(blocking.flush)
                assert await pushes.get_client_count_by_group("0") == 2
                assert set(await asyncio.to_thread(blocking.get_client_id_list_by_group, "0")) == {ann, ben}
                await pushes.send_to_all(END)
                for client in (a, b):
                    assert sorted(await heard(client)) == sorted([str(number) for number in range(JOINS)] * 2)
                await pushes.ungroup("0")
                await pushes.flush()

    in_loop(test())


@pytest.mark.usefixtures("hasty")
def test_who_starts_while_a_leaf_node_has_lost_its_hub_is_known_there_and_to_all_once_it_is_back(
    tmp_path: Path,
) -> None:
    def answers(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, message: str) -> None:
            client.join_group(message)
            worker.send_to_group(message, "of its group")
            client.send("its own")

    async def test() -> None:
        hub, leaf = hub_and_leaf(tmp_path)
        with leaf:
            async with on_nats(hub) as cluster:
                side = cluster.beside(leaf, "js_domain=hub")
                member = await side.gateway()
                door = member.gateway._presence.door  # type: ignore[union-attr]
                assert door is not None
                await until(lambda: door._lease.is_held)
                await side.worker(set_up=answers)
                id, client = await member.connect()
                await client.send_text("ann's")
                assert [await client.read_text() for _ in range(2)] == ["of its group", "its own"]
                assert await side.client().get_all_client_count() == 1
                assert await asyncio.to_thread(side.blocking().get_all_client_count) == 1
                with hub:
                    push = cluster.client()
                    await push.gateways()
                    await until(lambda: len(push._nats._carrier.members.gateways) == 1)  # type: ignore[union-attr]
                    await push.send_to_client(id, END)
                    assert await heard(client) == []
                    await member.gateway.stop(seconds=0.1, whole=True)
                    await push.aclose()

    in_loop(test())


def test_new_clients_at_a_leaf_node_that_has_lost_its_hub_reach_the_gateways_there(tmp_path: Path) -> None:
    async def test() -> None:
        hub, leaf = hub_and_leaf(tmp_path)
        with hub, leaf:
            async with on_nats(hub) as cluster:
                side = cluster.beside(leaf, "js_domain=hub")
                _, client = await (await side.gateway()).connect()
                push, blocking = side.client(), side.blocking()
                hub.stop()
                assert await push.get_all_client_count() == 1
                assert await asyncio.to_thread(blocking.get_all_client_count) == 1
                await push.send_to_all("one")
                await push.flush()
                await asyncio.to_thread(blocking.send_to_all, "two")
                assert [await client.read_text() for _ in range(2)] == ["one", "two"]

    in_loop(test())


@pytest.mark.usefixtures("hasty")
def test_a_gateway_at_servers_without_jetstream_is_known_once_they_reach_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        server = NatsServer(tmp_path)
        async with on_nats(server) as cluster:
            member = await cluster.gateway()
            door = member.gateway._presence.door  # type: ignore[union-attr]
            assert door is not None
            with server:
                await until(lambda: "NOT KNOWN ON NATS: JetStream is not enabled" in caplog.text)
            server.config += f'\njetstream {{ store_dir: "{tmp_path}" }}'
            with server:
                await until(lambda: door._lease.is_held)
                await member.gateway.stop(seconds=0.1, whole=True)

    in_loop(test())

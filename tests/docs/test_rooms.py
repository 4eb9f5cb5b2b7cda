"""docs/rooms.md: its rooms, with people in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tidegate import GatewayClient
from tidegate.testing import cluster

Import = Callable[[str], Any]


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Import]:
    with importable(DOCS / "rooms.md", tmp_path) as module:
        yield module


def test_a_room_hears_its_members_and_a_shell(module: Import) -> None:
    async def test() -> None:
        async with cluster(module("rooms").app) as c:
            kim, lee, max = [await c.connect(path) for path in ("/?room=7", "/?room=7", "/")]
            await kim.send("hello")
            assert await lee.receive() == "hello"
            await max.send("alone")
            await c.push.send_to_group("room:7", "all")
            assert [await client.receive() for client in (kim, lee)] == ["all", "all"]
            await c.settle()
            await max.expect_silence()
            assert sorted(await c.push.get_all_group_id_list()) == ["room:7", "room:lobby"]
            await max.close()
            await c.settle()
            assert await c.push.get_all_group_id_list() == ["room:7"]

    run(test)


def test_a_person_comes_and_leaves_once_whatever_their_tabs(module: Import) -> None:
    business = module("people").business

    async def test() -> None:
        async with cluster(business) as c:
            kim = await c.connect("/?room=7&name=kim")
            assert await kim.receive_json() == {"type": "came", "name": "kim"}
            assert await kim.receive_json() == {"type": "here", "names": ["kim"]}
            tabs = [await c.connect("/?room=7&name=lee")]
            assert await kim.receive_json() == {"type": "came", "name": "lee"}
            tabs.append(await c.connect("/?room=7&name=lee"))
            assert await tabs[1].receive_json() == {"type": "here", "names": ["kim", "lee"]}
            await tabs[0].close()
            await c.settle()
            await kim.expect_silence()
            await tabs[1].close()
            assert await kim.receive_json() == {"type": "left", "name": "lee"}

    run(test)


def test_a_member_moves_to_another_room(module: Import) -> None:
    business = module("moving").business

    async def test() -> None:
        async with cluster(business) as c:
            kim, lee = await c.connect("/?room=7"), await c.connect("/?room=8")
            await kim.send(json.dumps({"type": "say", "text": "bye"}))
            assert await kim.receive() == "bye"
            await kim.send(json.dumps({"type": "move", "room": "8", "text": "hi"}))
            assert [await client.receive() for client in (kim, lee)] == ["hi", "hi"]
            await c.push.join_group(lee.client_id, "room:7")
            await c.push.send_to_group(["room:7", "room:8"], "once")
            assert await lee.receive() == "once"
            await lee.expect_silence()
            assert await c.push.get_all_group_client_id_count() == {"room:7": 1, "room:8": 2}

    run(test)


def test_the_site_lets_in_expels_and_closes(module: Import) -> None:
    site = module("site_rooms")

    async def test() -> None:
        async with cluster() as c:
            kim, lee = await c.connect(), await c.connect()
            with GatewayClient(c.address) as site.gateway:
                for user, client in (("kim", kim), ("lee", lee)):
                    await asyncio.to_thread(site.bind, client.client_id, user, ["7", "8"])
                await asyncio.to_thread(site.expel, "kim", "7")
                await asyncio.to_thread(site.close, "7")
                assert await lee.receive() == "this room is closed"
                await asyncio.to_thread(site.gateway.flush)
                assert await c.push.get_all_group_uid_list() == {"room:8": ["kim", "lee"]}
                await kim.expect_silence()

    run(test)

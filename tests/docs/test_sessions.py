"""docs/sessions.md: what a session keeps, and who changes it."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tidegate import BusinessWorker, Client, GatewayClient
from tidegate.testing import cluster

Import = Callable[[str], Any]


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Import]:
    with importable(DOCS / "sessions.md", tmp_path) as module:
        yield module


def test_its_app_counts_for_each_connection(module: Import) -> None:
    async def test() -> None:
        async with cluster(module("app").app) as c:
            kim, lee = await c.connect(), await c.connect()
            for client, number in ((kim, 1), (kim, 2), (lee, 1)):
                await client.send("hello")
                assert await client.receive() == f"message {number}"

    run(test)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (each, each)
        for each in (None, True, 2**63 - 1, -(2**63), 1.5, "text", [1, "a"], {"a": {"b": 1}}, b"\xff")
    ]
    + [((1, 2), [1, 2]), ({}, []), ({0: "a", 1: "b"}, ["a", "b"]), ({"7": 1}, {7: 1}), (b"abc", "abc")],
)  # fmt: skip
def test_values_come_back_as_the_table_says(stored: Any, read: Any) -> None:
    business = BusinessWorker()

    @business.on_connect
    def store(client: Client) -> None:
        client.session["value"] = stored

    @business.on_message
    def show(client: Client, message: str) -> None:
        business.found = client.session["value"]

    async def test() -> None:
        async with cluster(business) as c, await c.connect() as client:
            await client.send("x")
            await c.settle()
            assert await c.push.get_session(client.client_id) == {"value": read}
            assert business.found == read
            assert type(business.found) is type(read)

    run(test)


@pytest.mark.parametrize("what", [datetime.date(2026, 1, 1), 2**63, "raise"])
def test_of_a_handler_that_fails_or_stores_what_can_not_be_nothing_is_saved(what: Any) -> None:
    business = BusinessWorker()

    @business.on_message
    def store(client: Client, message: str) -> None:
        client.session["other"] = 1
        if what == "raise":
            raise ZeroDivisionError
        client.session["value"] = what

    async def test() -> None:
        async with cluster(business, raise_errors=False) as c, await c.connect() as client:
            await client.send("x")
            await c.settle()
            assert await c.push.get_session(client.client_id) == {}
            assert len(c.errors) == 1

    run(test)


def test_the_site_fills_and_reads_sessions(module: Import) -> None:
    site = module("site_sessions")

    async def test() -> None:
        async with cluster(module("app").app) as c, await c.connect() as client:
            with GatewayClient(c.address) as site.gateway:
                assert await asyncio.to_thread(site.name_of, client.client_id) == "nobody"
                await asyncio.to_thread(site.bind, client.client_id, 42, "Kim")
                await client.send("x")  # whose handler changes another key
                assert await client.receive() == "message 1"
                await c.push.join_group(client.client_id, "g")
                await c.push.flush()
                assert await asyncio.to_thread(site.name_of, client.client_id) == "Kim"
                assert await asyncio.to_thread(site.names_in, "g") == {"Kim"}
                await client.close()
                await c.settle()
                assert await asyncio.to_thread(site.name_of, client.client_id) is None
                await asyncio.to_thread(site.bind, client.client_id, 42, "Kim")  # does nothing

    run(test)


def test_updates_merge_and_set_replaces() -> None:
    async def test() -> None:
        async with cluster() as c, await c.connect() as client:
            for update in ({"likes": {"tea": True}, "list": [1, 2]}, {"likes": {"jazz": True}, "list": [3]}):
                await c.push.update_session(client.client_id, update)
            both = {"likes": {"tea": True, "jazz": True}, "list": [3, 2]}
            assert await c.push.get_session(client.client_id) == both
            await c.push.set_session(client.client_id, {})
            assert await c.push.get_session(client.client_id) == {}

    run(test)


def test_a_timer_changes_the_session_by_update_session(module: Import) -> None:
    business = module("timers").business

    async def test() -> None:
        async with cluster(business) as c, await c.connect() as client:
            assert await client.receive() == "ten minutes left"
            await c.settle()
            assert await c.push.get_session(client.client_id) == {"warned": True}

    run(test)


def test_on_close_sees_it_still() -> None:
    business = BusinessWorker()
    seen: list[Any] = []

    @business.on_connect
    def store(client: Client) -> None:
        client.session["name"] = "Kim"

    @business.on_close
    def leave(client: Client) -> None:
        seen.append(client.session)

    async def test() -> None:
        async with cluster(business) as c:
            await (await c.connect()).close()
            await c.settle()
            assert seen == [{"name": "Kim"}]

    run(test)

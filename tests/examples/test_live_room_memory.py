"""A live room in a cluster of the test's own: heartbeats, and a Redis that is not as it should be."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.examples.redis_server import RedisServer, needs_redis
from tests.examples.support import EXAMPLES
from tests.ports import free_port
from tidegate import Gateway
from tidegate.testing import ClientClosedError, Cluster, WebSocketClient, cluster

Load = Callable[..., ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """What imports the example's app anew, with a Redis of the test's, and with other constants where it is said."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "live_room"))

    def load_it(url: str, **constants: float) -> ModuleType:
        monkeypatch.setenv("REDIS_URL", url)
        for name in names[::-1]:
            module = importlib.import_module(name)
            vars(module).update({constant: constants[constant] for constant in constants.keys() & vars(module).keys()})
        return module

    names = ("app", "memory")
    before = {name: sys.modules.pop(name, None) for name in names}
    yield load_it
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update({name: module for name, module in before.items() if module is not None})


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


async def next_of(kind: str, client: WebSocketClient) -> dict[str, Any]:
    while (message := await client.receive_json())["type"] != kind:
        pass
    return dict(message)


async def join(c: Cluster, room: str = "1", **fields: object) -> tuple[WebSocketClient, dict[str, Any]]:
    client = await c.connect()
    await client.send_json({"type": "join", "roomId": room, **fields})
    return client, await next_of("welcome", client)


async def say(client: WebSocketClient, content: str, room: str = "1") -> None:
    await client.send_json({"type": "say", "roomId": room, "content": content})
    assert (await next_of("say", client))["content"] == content


def test_who_answers_no_heartbeat_is_closed_and_who_answers_stays(load: Load) -> None:
    module = load(nowhere())
    (given,) = (member for member in module.app.members if isinstance(member, Gateway))
    assert given._given["ping_data"] == '{"type":"ping"}'
    hurried = Gateway("websocket://127.0.0.1:7272", ping_interval=0.2, ping_data=given._given["ping_data"])

    async def answer(client: WebSocketClient, over: asyncio.Event) -> None:
        while not over.is_set():
            assert await client.receive_json() is not None
            await client.send('{"type":"pong"}')

    async def test() -> None:
        async with cluster(module.business, hurried) as c:
            silent, answering = await c.connect(), await c.connect()
            over = asyncio.Event()
            task = asyncio.create_task(answer(answering, over))
            assert await silent.wait_closed() == 1008
            over.set()
            await task
            await answering.send_json({"type": "join", "roomId": "1"})
            assert (await next_of("welcome", answering))["online"] == 1

    run(test)


def test_a_message_that_is_too_long_closes_who_sent_it(load: Load) -> None:
    module = load(nowhere())
    (gateway,) = (member for member in module.app.members if isinstance(member, Gateway))

    async def test() -> None:
        async with cluster(module.business, gateway) as c:
            client, _ = await join(c)
            longest = json.dumps({"type": "say", "roomId": "x" * 32, "content": "🌅" * 300})
            assert len(longest) < 16 * 1024
            await client.send("x" * (16 * 1024 + 1))
            with pytest.raises(ClientClosedError):
                await next_of("nothing", client)
            assert client.close_code == 1009

    run(test)


# A Redis that is away


def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_a_redis_that_is_down_is_tried_by_one_look_at_a_time(load: Load) -> None:
    attempts = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    async def test() -> None:
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        module = load(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        async with server, cluster(module.business) as c:
            started = time.monotonic()
            arrived = await asyncio.gather(*(join(c) for _ in range(40)))
            assert all(welcome["pv"] is None and welcome["history"] == [] for _, welcome in arrived)
            await arrived[0][0].send_json({"type": "say", "roomId": "1", "content": "we talk all the same"})
            assert (await next_of("say", arrived[-1][0]))["content"] == "we talk all the same"
            assert attempts <= 1 + (time.monotonic() - started) / module.LOOK_SECONDS + 1
            assert module.memory.missed == 41

    run(test)


@needs_redis
def test_a_redis_that_hangs_holds_nobody_up_for_long(load: Load, redis: RedisServer) -> None:
    module = load(redis.url, SOCKET_SECONDS=0.5, LOOK_SECONDS=0.2, TELL_SECONDS=0.1)

    async def test() -> None:
        async with cluster(module.business) as c:
            first, welcome = await join(c)
            assert welcome["pv"] == 1
            redis.pause()
            async with asyncio.timeout(4):
                arrived = await asyncio.gather(*(join(c) for _ in range(30)))
            assert {welcome["pv"] for _, welcome in arrived} == {None}
            while (await next_of("online", first))["isCounting"]:
                pass
            async with asyncio.timeout(2):
                await say(first, "hello")
            assert module.memory.missed == 31
            redis.resume()
            async with asyncio.timeout(10):
                while not (await next_of("online", first))["isCounting"]:
                    pass
            assert (await join(c))[1]["pv"] >= 2
            assert module.memory.missed == 0

    run(test)


@needs_redis
def test_a_redis_that_takes_nothing_more_counts_as_away(load: Load, redis: RedisServer) -> None:
    module = load(redis.url)

    async def test() -> None:
        async with cluster(module.business) as c:
            client, _ = await join(c)
            redis.do("CONFIG", "SET", "maxmemory", 1)
            await say(client, "this is not kept")
            await module.memory.look()
            assert not module.memory.is_on
            assert redis.do("PING")
            redis.do("CONFIG", "SET", "maxmemory", 0)
            await module.memory.look()
            await say(client, "this is")
            assert [message["content"] for message in (await join(c))[1]["history"]] == ["this is"]

    run(test)


@needs_redis
def test_connections_from_before_a_restart_of_redis_are_not_used(load: Load, redis: RedisServer) -> None:
    module = load(redis.url)

    async def test() -> None:
        async with cluster(module.business) as c:
            await asyncio.gather(*(join(c) for _ in range(10)))
            await asyncio.to_thread(redis.stop)
            await asyncio.to_thread(redis.start)
            assert sorted([(await join(c))[1]["pv"] for _ in range(10)]) == list(range(1, 11))
            assert module.memory.missed == 0

    run(test)


@needs_redis
def test_many_who_come_at_once_are_all_counted(load: Load, redis: RedisServer) -> None:
    module = load(redis.url, WAIT_SECONDS=30, SOCKET_SECONDS=30)

    async def test() -> None:
        async with cluster(module.business) as c:
            arrived = await asyncio.gather(*(join(c) for _ in range(100)))
            assert {welcome["pv"] for _, welcome in arrived} == set(range(1, 101))
            assert redis.do("HGET", "PV:ROOM:1", "ROOM_TOTAL_PV") == "100"
            connections = redis.do("CLIENT", "LIST").splitlines()
            assert len(connections) <= sys.modules["memory"].CONNECTIONS + 1  # and the test's own

    run(test)


@needs_redis
def test_who_comes_back_is_no_other_visit(load: Load, redis: RedisServer) -> None:
    module = load(redis.url)

    async def test() -> None:
        async with cluster(module.business) as c:
            visits = [(await join(c, **fields))[1]["pv"] for fields in ({}, {"again": True}, {"again": "yes"})]
            assert visits == [1, 1, 2]

    run(test)

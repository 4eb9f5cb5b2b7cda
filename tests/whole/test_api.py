"""The push API from everywhere: blocking, async and in a worker give the same, over two gateways of two processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import namespace
from tests.net.support import Client, WebSocketClient
from tests.process.support import Place
from tests.whole.support import ROOM, Cluster, in_time
from tidegate import AsyncGatewayClient, GatewayClient

CALLER = """
def plain(value):
    return {str(key): plain(item) for key, item in value.items()} if isinstance(value, dict) else value

@business.on_message
async def call(client, message):
    name, args, kwargs = json.loads(message)
    try:
        result = plain(await getattr(business, name)(*args, **kwargs))
    except Exception as error:
        result = [type(error).__name__, str(error)]
    client.send(json.dumps(result))
"""

Caller = Callable[..., Awaitable[Any]]

NAMES = ["u1", "直播间 1", "0", "7", "ü\u0000/'\"\\", "💥"]


def plain(value: Any) -> Any:
    return {str(key): plain(item) for key, item in value.items()} if isinstance(value, dict) else value


class Callers:
    """One way to call each."""

    def __init__(self, cluster: str, browser: WebSocketClient) -> None:
        self._sync = GatewayClient(cluster)
        self._async = AsyncGatewayClient(cluster)
        self._browser = browser

    async def sync(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return plain(await asyncio.to_thread(getattr(self._sync, name), *args, **kwargs))

    async def asynchronous(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return plain(await getattr(self._async, name)(*args, **kwargs))

    async def in_worker(self, name: str, *args: Any, **kwargs: Any) -> Any:
        await self._browser.send_text(json.dumps([name, args, kwargs]))
        return json.loads(await self._browser.read_text())

    async def close(self) -> None:
        self._sync.close()
        await self._async.close()

    async def all_say(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Ask in each way; gives what all of them say, lists in order."""
        answers = [await way(name, *args, **kwargs) for way in (self.sync, self.asynchronous, self.in_worker)]
        ordered = [_ordered(answer) for answer in answers]
        assert ordered[0] == ordered[1] == ordered[2], (name, args, answers)
        return ordered[0]


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return sorted(value) if isinstance(value, list) else value


async def hello(client: Client | WebSocketClient) -> str:
    line = await (client.read_text() if isinstance(client, WebSocketClient) else client.read_line())
    return line.split()[1]


async def two_of_each_process(cluster: Cluster, name: str, connect: Any) -> dict[str, Any]:
    """Clients by their id, two at each process of a gateway: the others of it stand still while they come."""
    chosen: dict[str, Any] = {}
    pids = await asyncio.to_thread(cluster.pids, name)
    port = await asyncio.to_thread(cluster.port, name)
    for pid in pids:
        others = [other for other in pids if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            for client in [await connect(port), await connect(port)]:
                chosen[await hello(client)] = client
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
    return chosen


async def hears(client: Client | WebSocketClient, text: str) -> None:
    heard = await (client.read_text() if isinstance(client, WebSocketClient) else client.read_line())
    assert heard == text


@pytest.mark.parametrize("meeting_point", ["register", "nats"])
def test_every_method_gives_the_same_from_everywhere(place: Place, nats: NatsServer, meeting_point: str) -> None:
    url = f"{nats.url}/{namespace()}" if meeting_point == "nats" else None
    cluster = Cluster(place, ROOM + CALLER, terminals=True, nats=url)

    async def main() -> None:
        chosen = await two_of_each_process(cluster, "web", WebSocketClient.open)
        chosen |= await two_of_each_process(cluster, "lines", Client.connect)
        assert len({id[:12] for id in chosen}) == 4
        (caller_id, browser), *others = chosen.items()
        ids, clients = [id for id, _ in others], [client for _, client in others]
        callers = Callers(cluster.address, browser)
        try:
            await _exercise(callers, clients, ids, caller_id)
        finally:
            await callers.close()
            for client in chosen.values():
                client.sock.close()

    in_time(main())


async def _exercise(callers: Callers, clients: list[Any], ids: list[str], caller_id: str) -> None:
    say = callers.all_say
    everyone = sorted([*ids, caller_id])
    assert await say("get_all_client_count") == await say("get_all_client_id_count") == 8
    assert await say("get_all_client_id_list") == everyone
    assert await say("is_online", ids[0]) is True
    assert await say("is_online", ids[0][:12] + "00000000") is False
    assert await say("get_all_uid_list") == await say("get_all_group_id_list") == []

    ways = [callers.sync, callers.asynchronous, callers.in_worker]
    for number, name in enumerate(NAMES):
        way = ways[number % 3]
        await way("bind_uid", ids[number], name)
        for member in ids[: number + 1]:
            await way("join_group", member, name)
        if way is not callers.in_worker:
            await way("flush")
    await callers.sync("bind_uid", ids[6], 7)
    await callers.sync("flush")
    assert await say("get_all_uid_list") == sorted(NAMES)
    assert await say("get_all_uid_count") == len(NAMES)
    assert await say("get_all_group_id_list") == sorted(NAMES)
    for number, name in enumerate(NAMES):
        bound = sorted([ids[number], ids[6]] if name == "7" else [ids[number]])
        assert await say("is_uid_online", name) is True
        assert await say("get_client_id_by_uid", name) == bound
        assert await say("get_uid_by_client_id", ids[number]) == name
        assert await say("get_client_count_by_group", name) == number + 1
        assert await say("get_client_id_count_by_group", name) == number + 1
        assert await say("get_client_id_list_by_group", name) == sorted(ids[: number + 1])
        assert await say("get_uid_list_by_group", name) == sorted(NAMES[: number + 1])
        assert await say("get_uid_count_by_group", name) == number + 1
    assert await say("get_uid_by_client_id", caller_id) is None
    assert await say("is_uids_online", [*NAMES, "nobody", 7]) == dict.fromkeys(NAMES, True) | {"nobody": False}
    batch = await say("batch_get_client_id_by_uid", ["u1", "nobody", 7])
    assert batch == {"u1": [ids[0]], "nobody": [], "7": sorted([ids[3], ids[6]])}
    assert await say("batch_get_client_id_count_by_group", ["u1", "nothing", 7]) == {"u1": 1, "nothing": 0, "7": 4}
    assert await say("get_all_group_client_id_count") == {name: at + 1 for at, name in enumerate(NAMES)}
    assert await say("get_all_group_client_id_list") == {name: sorted(ids[: at + 1]) for at, name in enumerate(NAMES)}
    assert await say("get_all_group_uid_list") == {name: sorted(NAMES[: at + 1]) for at, name in enumerate(NAMES)}
    assert await say("get_all_group_uid_count") == {name: at + 1 for at, name in enumerate(NAMES)}

    await callers.sync("set_session", ids[0], {"name": "Ann", "n": 1, "deep": {"list": [1, 2, 3]}})
    await callers.sync("flush")
    await callers.asynchronous("update_session", ids[0], {"n": 2, "deep": {"list": [9]}})
    await callers.asynchronous("flush")
    await callers.in_worker("update_session", ids[1], {"first": "x"})
    assert await callers.sync("get_session", ids[0]) == {"name": "Ann", "n": 2, "deep": {"list": [9, 2, 3]}}
    merged = {"name": "Ann", "n": 2, "deep": {"list": [2, 3, 9]}}  # as lists are compared here
    assert await say("get_session", ids[0]) == merged
    assert await say("get_session", ids[1]) == {"first": "x"}
    assert await say("get_session", ids[2]) == {}
    assert await say("get_session", ids[0][:12] + "00000000") is None
    assert await say("get_client_sessions_by_group", "直播间 1") == {ids[0]: merged, ids[1]: {"first": "x"}}
    sessions = await say("get_all_client_sessions")
    assert sessions == {id: {} for id in everyone} | {ids[0]: merged, ids[1]: {"first": "x"}}

    for number, way in enumerate(ways):
        await _send(way, f"m{number}", clients, ids, caller_id)

    for number, way in enumerate(ways):
        await way("leave_group", ids[0], NAMES[number + 1])
        await way("unbind_uid", ids[number], NAMES[number])
        await way("ungroup", NAMES[number + 3])
        if way is not callers.in_worker:
            await way("flush")
    assert await say("get_all_group_id_list") == sorted(NAMES[:3])
    assert await say("get_client_id_list_by_group", NAMES[2]) == sorted(ids[1:3])
    assert await say("get_all_uid_list") == sorted(NAMES[3:])
    await callers.sync("close_client", ids[0], "bye")
    await callers.asynchronous("destroy_client", ids[1])
    await callers.in_worker("close_uid", 7, "off")
    await hears(clients[0], "bye")
    await hears(clients[3], "off")
    await hears(clients[6], "off")


async def _send(way: Caller, text: str, clients: list[Any], ids: list[str], caller_id: str) -> None:
    """Each way to send, and who hears it."""
    await way("send_to_client", ids[6], text)
    await hears(clients[6], text)
    await way("send_to_all", f"{text} all", exclude=caller_id)
    await way("send_to_all", f"{text} some", client_ids=[ids[0], ids[5]])
    await way("send_to_all", f"{text} nobody", client_ids=[])
    await way("send_to_uid", ["u1", 7], f"{text} uids")
    await way("send_to_group", ["u1", "直播间 1"], f"{text} groups", exclude=[ids[1]])
    for number, client in enumerate(clients):
        await hears(client, f"{text} all")
        if number in (0, 5):
            await hears(client, f"{text} some")
        if number in (0, 3, 6):
            await hears(client, f"{text} uids")
        if number == 0:
            await hears(client, f"{text} groups")

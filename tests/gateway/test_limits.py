"""What a gateway bounds of its clients, and what happens there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients import client_frame
from tests.gateway.clients import clients, counted
from tests.gateway.support import Peer, gateway
from tests.net.support import DEADLINE, Client, Runner, WebSocketClient, until
from tidegate.gateway import deadline as deadlines
from tidegate.net import reactor
from tidegate.net.listener import Listener
from tidegate.wire import commands, php
from tidegate.wire.client_id import pack_ip


def test_a_client_is_in_no_more_groups_than_it_may_be(run: Runner) -> None:
    async def main() -> None:
        async with clients(2, max_groups_per_client=2) as c:
            for group in (b"a", b"b", b"c", b"b"):
                await c.do(commands.JOIN_GROUP, 0, group)
            await c.do(commands.JOIN_GROUP, 1, b"c")
            assert await c.ask(commands.GET_CLIENT_COUNT_BY_GROUP, ext=b"c") == 1  # another client does not feel it
            assert counted(c.place)["refused_groups"] == c.bad == 1
            await c.do(commands.LEAVE_GROUP, 0, b"a")
            await c.do(commands.JOIN_GROUP, 0, b"c")
            assert await c.ask(commands.GET_CLIENT_COUNT_BY_GROUP, ext=b"c") == 2

    run(main())


def test_a_session_that_is_too_large_is_not_stored(run: Runner) -> None:
    async def main() -> None:
        async with clients(1, max_session_size=100) as c:
            await c.do(commands.SET_SESSION, 0, php.dumps({"a": "x" * 50}))
            await c.do(commands.UPDATE_SESSION, 0, php.dumps({"b": "x" * 50}))
            await c.do(commands.SET_SESSION, 0, php.dumps({"c": "x" * 100}))
            assert await c.ask(commands.GET_SESSION_BY_CLIENT_ID, 0) == {"a": "x" * 50}
            assert counted(c.place)["refused_sessions"] == c.bad == 2

    run(main())


def test_who_has_no_uid_in_time_is_closed(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.05)

    async def main() -> None:
        async with clients(3, authenticate_within=0.3) as c:
            await c.do(commands.BIND_UID, 0, b"kim")
            await c.do(commands.BIND_UID, 1, b"lee")
            await c.do(commands.UNBIND_UID, 1)  # it has no uid in the end
            for stranger in c.sockets[1:]:
                code, reason = await stranger.read_close()
                assert (code, reason) == (deadlines.TOO_LATE, "no uid in 0.3 s")
                stranger.sock.close()
            assert counted(c.place)["unauthenticated_clients"] == 2
            await c.do(commands.UNBIND_UID, 0)  # it is not asked again
            await asyncio.sleep(0.5)
            await c.do(commands.SEND_TO_ONE, 0, body=b"still here")
            assert await c.sockets[0].read_text() == "still here"

    run(main())


def test_who_sends_too_much_is_read_from_more_slowly_and_is_not_taken_for_silent(run: Runner) -> None:
    async def main() -> None:
        settings: dict[str, Any] = {"max_messages_per_second": 100, "ping_interval": 0.04, "ping_not_response_limit": 1}
        async with gateway("text://127.0.0.1:0", **settings) as place:
            with await Peer.worker(place.inner, tidegate=1) as worker, await Client.connect(place.port) as client:
                await client.send(b"".join(b"%d\n" % number for number in range(240)))
                assert (await worker.event())[0] == commands.ON_CONNECT
                for number in range(240):
                    assert (await worker.event())[2] == b"%d" % number
                assert place.gateway.snapshot()["rate_pauses"] >= 1

    run(main())


def test_who_sends_too_much_may_be_closed(run: Runner) -> None:
    async def main() -> None:
        async with gateway(max_messages_per_second=2, over_rate="close") as place:
            with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port) as client:
                await client.send(client_frame(0x81, b"x") * 20)
                assert (await client.read_close())[0] == 1008
                client.sock.close()
                events = [(await worker.event())[0] for _ in range(7)]
                assert events == [1, 205, 3, 3, 3, 3, 4]
                assert place.gateway.snapshot()["rate_closes"] == 1

    run(main())


def test_workers_are_told_the_address_that_a_trusted_proxy_names(run: Runner) -> None:
    async def main() -> None:
        async with gateway(trusted_proxies=["127.0.0.1"]) as place:
            with await Peer.worker(place.inner, tidegate=1) as worker:
                headers = ("X-Forwarded-For: 1.2.3.4, 203.0.113.9:5555",)
                with await WebSocketClient.open(place.port, headers=headers) as client:
                    assert (await worker.event())[0] == commands.ON_CONNECT
                    server = php.loads((await worker.packet())[4])["server"]
                    assert (server["REMOTE_ADDR"], server["REMOTE_PORT"]) == ("203.0.113.9", 5555)
                    (connection,) = place.gateway.connections.values()
                    assert connection.origin == pack_ip("203.0.113.9")
                    assert connection.port == 5555
                    client.sock.close()

    run(main())


def test_a_graceful_stop_spreads_the_goodbyes_and_sends_first_what_is_queued(run: Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        closed: list[float] = []

        async def watch(client: WebSocketClient) -> None:
            texts = [await client.read_text() for _ in range(2)]
            assert texts == ["early", "late"]
            assert await client.read_close() == (1001, "the server stops")
            closed.append(loop.time())
            client.sock.close()

        async with clients(20, drain_seconds=1) as c:
            await c.do(commands.SEND_TO_ALL, body=b"early")
            for at in range(20):
                await c.ask(commands.IS_ONLINE, at)
            watching = [asyncio.create_task(watch(client)) for client in c.sockets]
            for connection in c.place.gateway.connections.values():
                connection.send("late")  # which is still queued
            begun = loop.time()
            await c.place.gateway.stop(graceful=True, seconds=8, whole=True)
            await asyncio.gather(*watching)
            pauses = [later - earlier for earlier, later in itertools.pairwise(closed)]
            assert 0.9 < closed[-1] - begun < 3
            assert closed[0] - begun < 0.5
            assert max(pauses) < 0.4

    run(main())


def test_at_a_stop_register_is_left_first_and_nobody_is_taken(run: Runner) -> None:
    async def main() -> None:
        async with clients(4, drain_seconds=0.6) as c:
            with await Client.connect(c.place.register) as worker:
                await worker.send(b'{"event":"worker_connect","secret_key":""}\n')
                assert json.loads(await worker.read_line())["addresses"] == [f"127.0.0.1:{c.place.inner}"]
                stopping = asyncio.create_task(c.place.gateway.stop(graceful=True, seconds=5, whole=True))
                assert json.loads(await worker.read_line())["addresses"] == []
                (listener,) = c.place.gateway._listeners
                assert isinstance(listener, Listener)
                await until(lambda: not listener._sockets)
                assert any(client.is_open for client in c.place.gateway.connections.values())
                with contextlib.suppress(ConnectionRefusedError), socket.socket() as late:
                    late.connect(("127.0.0.1", c.place.port))
                    raise AssertionError("somebody was taken")
                for client in c.sockets:
                    assert (await client.read_close())[0] == 1001
                    client.sock.close()
                await stopping

    run(main())


def test_without_file_descriptors_the_inner_port_waits_too() -> None:
    """In a process of its own, whose limit is lowered."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.gateway.few_descriptors", "uvloop"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "all served\n"

"""A cluster on NATS of which something ends: who is told, what is said, and that all is back as it was."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.nats.server import NatsServer
from tests.net.support import until
from tests.ports import free_port
from tests.whole.members import END, heard, in_loop, on_nats
from tidegate import BusinessWorker, GatewayClient
from tidegate.errors import ClusterError, ClusterTimeoutError, ConfigurationError


@pytest.fixture
def nats_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One that a test may stop, and whose store it may lose."""
    with NatsServer(tmp_path_factory.mktemp("nats"), jetstream=True) as server:
        yield server


def test_a_second_gateway_of_one_address_is_refused_while_the_first_lives(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            inner = free_port()
            first = await cluster.gateway(inner=inner)
            with pytest.raises(
                ConfigurationError, match=f"another gateway of .* has the address 127.0.0.1:{inner} already"
            ):
                await cluster.gateway(inner=inner, inner_listen="127.0.0.2")
            id, client = await first.connect()
            push = cluster.client()
            await push.send_to_client(id, END)
            assert await heard(client) == []

    in_loop(test())


def test_a_killed_gateway_is_gone_for_all_within_five_seconds_and_may_come_back(nats: NatsServer) -> None:
    closed: list[str] = []

    def tells(worker: BusinessWorker) -> None:
        @worker.on_close
        def on_close(client: Any) -> None:
            closed.append(client.id)

    async def test() -> None:
        async with on_nats(nats) as cluster:
            first, second = [await cluster.gateway() for _ in range(2)]
            await cluster.worker(set_up=tells)
            push, blocking = cluster.client(timeout=1), cluster.blocking(timeout=1)
            ids = [(await member.connect())[0] for member in (first, second)]
            assert await push.get_all_client_count() == await asyncio.to_thread(blocking.get_all_client_count) == 2
            await second.vanish()
            began = time.monotonic()
            with pytest.raises(ClusterError, match=second.address):
                await push.get_all_client_count()
            with pytest.raises(ClusterError, match=second.address):
                await asyncio.to_thread(blocking.get_all_client_count)
            while len(await push.gateways()) == 2:
                await asyncio.sleep(0.02)
            assert await push.get_all_client_count() == await asyncio.to_thread(blocking.get_all_client_count) == 1
            assert time.monotonic() - began < 5
            with pytest.raises(ClusterError, match=f"no gateway {second.address} is on NATS"):
                await push.send_to_client(ids[1], "?")

    in_loop(test())


def test_who_leaves_is_gone_at_once(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            _, second = [await cluster.gateway() for _ in range(2)]
            push, blocking = cluster.client(), cluster.blocking()
            assert len(await push.gateways()) == 2
            began = time.monotonic()
            await second.gateway.stop(seconds=0.1)
            await until(lambda: len(push._nats._carrier.members.gateways) == 1)  # type: ignore[union-attr]
            assert await asyncio.to_thread(blocking.get_all_client_count) == await push.get_all_client_count() == 0
            assert time.monotonic() - began < 3

    in_loop(test())


def test_a_silent_gateway_is_named_by_queries_and_flush(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            _, second = [await cluster.gateway() for _ in range(2)]
            push, blocking = cluster.client(timeout=0.2), cluster.blocking(timeout=0.2)
            assert await push.get_all_client_count() == 0
            door = second.gateway._presence.door  # type: ignore[union-attr]
            door._carry_out = lambda message: None  # type: ignore[method-assign, union-attr]
            for call in (push.get_all_client_count, push.get_all_uid_list, push.flush):
                with pytest.raises(ClusterTimeoutError, match=f"{second.address} did not answer within 0.2 s"):
                    await call()
            for ask in (blocking.get_all_client_count, blocking.flush):
                with pytest.raises(ClusterTimeoutError, match=f"{second.address} did not answer within 0.2 s"):
                    await asyncio.to_thread(ask)

    in_loop(test())


def test_a_question_that_is_lost_is_asked_again_but_not_what_a_flush_asks(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member = await cluster.gateway()
            push, blocking = cluster.client(timeout=1), cluster.blocking(timeout=1)
            await member.connect()
            assert await push.get_all_client_count() == await asyncio.to_thread(blocking.get_all_client_count) == 1
            door = member.gateway._presence.door  # type: ignore[union-attr]
            carry_out = door._carry_out  # type: ignore[union-attr]
            lost: list[Any] = []

            def lose_one(message: Any) -> None:
                lost.append(message)
                door._carry_out = carry_out  # type: ignore[method-assign, union-attr]

            for ask, flush in (
                (push.get_all_client_count, push.flush),
                (
                    lambda: asyncio.to_thread(blocking.get_all_client_count),
                    lambda: asyncio.to_thread(blocking.flush),
                ),
            ):
                door._carry_out = lose_one  # type: ignore[method-assign, union-attr]
                assert await ask() == 1
                door._carry_out = lose_one  # type: ignore[method-assign, union-attr]
                with pytest.raises(ClusterTimeoutError, match="did not answer within 1 s"):
                    await flush()  # as what was pushed before may be lost too
            assert len(lost) == 4

    in_loop(test())


def test_a_flush_tells_what_was_pushed_while_a_gateway_was_away_from_nats(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            away, _ = [await cluster.gateway() for _ in range(2)]
            push, blocking = cluster.client(), cluster.blocking()
            id, client = await away.connect()
            await push.bind_uid(id, "kim")
            await push.flush()
            await asyncio.to_thread(blocking.flush)
            await push.send_to_uid("kim", "perhaps")  # it may be on its way when the connection breaks
            await away.lose_nats()
            with pytest.raises(ClusterError, match=f"gateway {away.address} was away from NATS since the last flush"):
                await push.flush()
            await asyncio.to_thread(blocking.flush)  # it had not pushed anything
            await push.send_to_uid("kim", "here")
            await push.flush()

            def pushes() -> None:
                blocking.send_to_uid("kim", "perhaps")
                came_back()
                with pytest.raises(ClusterError, match=f"gateway {away.address} was away from NATS"):
                    blocking.flush()
                blocking.flush()

            loop = asyncio.get_running_loop()

            def came_back() -> None:
                asyncio.run_coroutine_threadsafe(away.lose_nats(), loop).result(20)

            await asyncio.to_thread(pushes)
            await push.send_to_client(id, END)
            assert [text for text in await heard(client) if text != "perhaps"] == ["here"]

    in_loop(test())


def _count(push: GatewayClient) -> int:
    try:
        return push.get_all_client_count()
    except ClusterError:  # NATS, or a gateway, is not back yet
        return 0


def _counts(push: GatewayClient, is_over: threading.Event) -> list[int]:
    """What it is told, until that is over and it is told something once more."""
    found: list[int] = []
    while not is_over.is_set() or not found[-1]:
        found.append(_count(push))
        time.sleep(0.01)
    return found


def test_nats_is_killed_and_all_is_back_by_itself(nats_of_its_own: NatsServer) -> None:
    server = nats_of_its_own

    def serves(worker: BusinessWorker) -> None:
        @worker.on_message
        def on_message(client: Any, message: str) -> None:
            client.send(f"c {message}")
            worker.send_to_group("room", f"g {message}")

    async def test() -> None:
        async with on_nats(server) as cluster:
            members = [await cluster.gateway() for _ in range(2)]
            worker = await cluster.worker(set_up=serves)
            push, blocking = cluster.client(), cluster.blocking(connect_timeout=0.5)
            clients = [await member.connect() for member in members]
            for number, (id, _) in enumerate(clients):
                await push.join_group(id, "room")
                await push.bind_uid(id, f"{number}")
            await asyncio.to_thread(blocking.flush)
            await push.flush()
            push._nats._connect_timeout = 0.2  # type: ignore[union-attr] # from here on it is impatient
            asking, is_over = cluster.blocking(connect_timeout=0.5), threading.Event()
            assert await asyncio.to_thread(_count, asking) == 2  # who knows of nobody can't miss anybody
            counts = asyncio.create_task(asyncio.to_thread(_counts, asking, is_over))
            server.stop()
            server.lose_store()
            await until(lambda: not any(member.is_on_nats for member in members))
            with pytest.raises(ClusterError, match=f"127.0.0.1:{server.port}"):
                await push.send_to_all("lost")
            with pytest.raises(ClusterError, match=f"127.0.0.1:{server.port}"):
                await asyncio.to_thread(blocking.send_to_all, "lost")
            await clients[0][1].send_text("while it is away")  # which waits, as the link to the worker stands
            await until(lambda: worker._running.nats.holds)  # type: ignore[union-attr]
            server.start()
            both = ["c while it is away", "g while it is away"]
            assert [await clients[0][1].read_text() for _ in both] == both
            assert await clients[1][1].read_text() == both[1]
            await until(lambda: all(member.gateway._presence.door._lease.is_held for member in members))  # type: ignore[union-attr]
            await until(lambda: len(push._nats._carrier.members.gateways) == 2)  # type: ignore[union-attr]
            with pytest.raises(ClusterError, match=r"may be lost|not sent"):
                await push.flush()
            for way in (push.send_to_group, push.send_to_uid):
                await way("room" if way == push.send_to_group else ["0", "1"], "once")
            await push.send_to_all(END)
            for _, client in clients:
                assert await heard(client) == ["once", "once"]
            assert [member.count("nats_subscriptions") for member in members] == [2, 2]
            until_listed = time.monotonic() + 10
            while await asyncio.to_thread(_count, cluster.blocking()) < 2:
                assert time.monotonic() < until_listed
            is_over.set()
            assert set(await counts) == {0, 2}  # and never that of one gateway

    in_loop(test())

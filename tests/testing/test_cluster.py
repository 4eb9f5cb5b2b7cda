"""A cluster for the time of a block."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from tests.net.support import CERTIFICATE, KEY, Runner, until
from tests.testing.support import make_room
from tidegate import App, BusinessWorker, Client, Connection, Gateway, GatewayClient, Register, Worker, every
from tidegate.errors import ConfigurationError
from tidegate.net.address import parse_address
from tidegate.testing import cluster


def test_clients_of_a_cluster_talk_through_the_users_worker(run: Runner) -> None:
    async def main() -> None:
        room = make_room()
        async with cluster(room) as c:
            kim, lee = await c.connect(), await c.connect()
            assert await kim.receive() == f"you are {kim.client_id}"
            assert await lee.receive() == f"you are {lee.client_id}"
            await kim.send("hello")
            await kim.send(b"\xff")
            assert [await lee.receive(), await lee.receive()] == ["hello", b"\xff"]
            await kim.expect_silence()

    run(main())


def test_it_starts_in_less_than_a_tenth_of_a_second(run: Runner) -> None:
    async def main() -> None:
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            async with cluster(make_room()):
                seconds.append(time.perf_counter() - began)
        assert min(seconds) < 0.1

    run(main())


def test_it_is_pushed_to_as_any_other(run: Runner) -> None:
    async def main() -> None:
        async with cluster(make_room(), secret_key="s3cret") as c:
            kim = await c.connect()
            await kim.receive()
            await c.push.bind_uid(kim.client_id, "kim")
            await c.push.send_to_uid("kim", "mail")
            assert await kim.receive() == "mail"
            with GatewayClient(c.address, secret_key=c.secret_key) as push:
                assert await asyncio.to_thread(push.get_all_uid_list) == ["kim"]

    run(main())


def test_code_that_pushes_is_tested_without_a_worker_of_ones_own(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c, await c.connect() as kim:
            await c.push.send_to_all("hello")
            assert await kim.receive() == "hello"

    run(main())


def test_afterwards_a_worker_is_as_it_was_and_serves_the_next_test(run: Runner) -> None:
    async def main() -> None:
        room = make_room(cluster="10.0.0.1:1236", secret_key="real", count=4)
        gateway = Gateway("websocket://0.0.0.0:7272", start_port=2900, lan_ip="10.0.0.2", ssl=(CERTIFICATE, KEY))
        before = [room.settings({}), gateway.settings({}), gateway.address, gateway._has_register]
        for _ in range(2):
            async with cluster(room, gateway) as c, await c.connect() as kim:
                assert await kim.receive() == f"you are {kim.client_id}"
                assert room.left == []
            assert room.left == [kim.client_id]
            assert [room.settings({}), gateway.settings({}), gateway.address, gateway._has_register] == before

    run(main())


def test_a_whole_app_runs_on_other_ports_than_its_own(run: Runner, tmp_path: Path) -> None:
    register = Register("127.0.0.1:1236")
    web, lines = Gateway("websocket://0.0.0.0:7272", count=2), Gateway("text://0.0.0.0:7273", start_port=2910)
    echo = Worker(f"unix://{tmp_path}/echo.sock")

    @echo.on_message
    def received(connection: Connection, data: bytes) -> None:
        connection.send(data)

    async def main() -> None:
        async with cluster(App(register, lines, web, make_room(), echo)) as c:
            assert register.address is not None
            assert register.address.port == 1236
            assert str(web.address) not in ("websocket://0.0.0.0:7272", "websocket://127.0.0.1:0")
            assert c.url == f"ws://127.0.0.1:{web.address.port if web.address else 0}"
            assert lines.address is not None
            reader, writer = await asyncio.open_connection(lines.address.host, lines.address.port)
            assert (await reader.readline()).startswith(b"you are ")
            kim = await c.connect(gateway=web)
            await kim.receive()
            writer.write(b"hello\n")
            assert await kim.receive() == "hello"
            writer.close()
            await writer.wait_closed()
            assert echo.address is not None
            assert not echo.address.path.startswith(str(tmp_path))
            reader, writer = await asyncio.open_unix_connection(echo.address.path)
            writer.write(b"abc")
            assert await reader.readexactly(3) == b"abc"
            writer.close()
            await writer.wait_closed()
        assert str(echo.address) == f"unix://{tmp_path}/echo.sock"

    run(main())


def test_the_only_gateway_has_the_address_that_is_asked_for(run: Runner) -> None:
    async def main() -> None:
        async with cluster(gateway="text://127.0.0.1:0") as c:
            with pytest.raises(ConfigurationError, match="no WebSocket gateway"):
                await c.connect()

    run(main())


def test_what_is_no_member_is_refused(run: Runner) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="takes BusinessWorkers"):
            async with cluster("business"):  # type: ignore[arg-type]
                pass

    run(main())


def test_what_workers_open_by_themselves_is_on_other_ports_too(run: Runner) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                business = make_room(name="business")
                business.serve_http("http://127.0.0.1:8585")
                lines = Worker("text://0.0.0.0:5678")

                @business.on_worker_start
                async def start(worker: BusinessWorker, lines: Worker = lines) -> None:
                    worker.left = []
                    await lines.listen()

                @business.on_worker_stop
                async def stop(worker: BusinessWorker, lines: Worker = lines) -> None:
                    await lines.stop()

                c = await stack.enter_async_context(cluster(business))
                addresses = c.addresses
                assert addresses.keys() >= {"http-8585", "text-5678"}
                assert addresses["text-5678"] != "text://0.0.0.0:5678"
                place = parse_address(addresses["http-8585"])
                reader, writer = await asyncio.open_connection(place.host, place.port)
                head = f"Host: {place.host}:{place.port}\r\nConnection: close\r\n\r\n"
                writer.write(f"GET /?method=sendToAll&args[]=hello HTTP/1.1\r\n{head}".encode())
                assert (await reader.read()).endswith(b"ok")
                writer.close()
                await writer.wait_closed()

    run(main())


def test_a_start_that_fails_leaves_nothing_behind(run: Runner) -> None:
    async def main() -> None:
        room, broken = make_room(), BusinessWorker(name="broken")
        before = room._given

        @broken.on_worker_start
        def start(worker: Any) -> None:
            raise LookupError("no database")

        with pytest.raises(LookupError, match="no database"):
            async with cluster(room, broken):
                pass
        assert room._given is before

    run(main())


def test_settled_means_that_all_was_handled(run: Runner) -> None:
    async def main() -> None:
        slow = BusinessWorker()
        handled = []

        @slow.on_message
        async def work(client: Client, message: str) -> None:
            await asyncio.sleep(0.02)
            client.join_group(message)

        @slow.on_close
        async def leave(client: Client) -> None:
            await asyncio.sleep(0.02)
            handled.append(client.id)

        async with cluster(slow) as c:
            clients = [await c.connect() for _ in range(3)]
            for client in clients:
                await client.send("room")
            await c.settle()
            assert await c.push.get_client_count_by_group("room") == 3
            await clients[0].close()
            clients[1].abort()
            await c.settle()
            assert set(handled) == {clients[0].client_id, clients[1].client_id}
            assert await c.push.get_client_count_by_group("room") == 1

    run(main())


def test_a_worker_that_the_test_stops_hands_its_clients_over(run: Runner) -> None:
    async def main() -> None:
        rooms = [make_room(name="a"), make_room(name="b")]
        async with cluster(*rooms) as c:
            clients = [await c.connect() for _ in range(4)]
            for client in clients:
                assert await client.receive() == f"you are {client.client_id}"
            await rooms[0].stop(reload=True)
            await clients[0].send("hello")
            await c.settle()
            assert [await client.receive() for client in clients[1:]] == ["hello"] * 3
        assert sorted(rooms[1].left) == sorted(client.client_id for client in clients)

    run(main())


def test_settling_has_an_end_where_a_handler_has_none(run: Runner) -> None:
    async def main() -> None:
        stuck, free = BusinessWorker(), asyncio.Event()

        @stuck.on_message
        async def wait(client: Client, message: str) -> None:
            await free.wait()

        async with cluster(stuck) as c:
            client = await c.connect()
            await client.send("x")
            with pytest.raises(TimeoutError, match="a handler has not ended"):
                await c.settle(0.05)
            free.set()

    run(main())


def test_handlers_see_clients_go_at_the_end_while_everything_works(run: Runner) -> None:
    async def main() -> None:
        last, counts = BusinessWorker(), []

        @last.on_close
        async def leave(client: Client) -> None:
            counts.append(await last.get_all_client_count())

        async with cluster(last) as c:
            clients = [await c.connect() for _ in range(3)]
        assert len(counts) == 3
        assert {client.close_code for client in clients} == {1001}

    run(main())


def test_timers_that_handlers_started_end_with_the_block(run: Runner) -> None:
    async def main() -> None:
        ticking = BusinessWorker()
        ticks: list[int] = []

        @ticking.on_worker_start
        def start(worker: BusinessWorker) -> None:
            every(0.005, ticks.append, 1)

        mine: list[int] = []
        timer = every(0.005, mine.append, 1)
        async with cluster(ticking):
            await until(lambda: len(ticks) > 1)
        ended_with = len(ticks)
        mine.clear()
        await until(lambda: len(mine) > 2)
        assert len(ticks) == ended_with
        timer.cancel()

    run(main())


def test_blocks_in_a_row_and_within_one_another_do_not_meet(run: Runner) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            clusters = [await stack.enter_async_context(cluster(make_room())) for _ in range(3)]
            clients = [await c.connect() for c in clusters]
            for c, client in zip(clusters, clients, strict=True):
                assert await client.receive() == f"you are {client.client_id}"
                assert await c.push.get_all_client_id_list() == [client.client_id]

    run(main())


def test_a_handler_that_never_ends_does_not_keep_the_block_from_ending(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.testing.running.STOP_SECONDS", 0.1)

    async def main() -> None:
        stuck, begun = BusinessWorker(), asyncio.Event()

        @stuck.on_message
        async def wait(client: Client, message: str) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with cluster(stuck) as c:
            await (await c.connect()).send("x")
            await begun.wait()
            began = time.monotonic()
        assert time.monotonic() - began < 2

    run(main())

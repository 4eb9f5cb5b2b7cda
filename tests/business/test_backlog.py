"""What a worker sends while a link is still to be made: it reaches every gateway that is listed, in its order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.business.support import ScriptedGateway, cluster, extra, names, running, serving
from tests.net.support import Runner, turns, until
from tests.ports import free_port
from tidegate.business import backlog, keeper, muster, remote
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.errors import ClusterError
from tidegate.net.link import connect_link
from tidegate.wire import commands
from tidegate.wire.packet import Packet

LIMIT = 100_000


class Ways:
    """To gateways; while one is closed, connecting to it takes as long."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.tried: list[str] = []

    async def connect(self, link_class: Any, host: str, port: int, *args: Any, **more: Any) -> Any:
        self.tried.append(f"{host}:{port}")
        await until(lambda: f"{host}:{port}" not in self.closed)
        return await connect_link(link_class, host, port, *args, **more)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    ways = Ways()
    monkeypatch.setattr(keeper, "connect_link", ways.connect)
    return ways


def make(place: str) -> BusinessWorker:
    return BusinessWorker(cluster=place, send_to_gateway_limit=LIMIT)


def failures(worker: BusinessWorker) -> int:
    return int(worker.snapshot()["send_failures"])


def bodies(packets: list[Packet], *wanted: int) -> list[bytes]:
    return [packet[4] for packet in packets if packet[0] in wanted]


# Greeting


def test_the_gateways_of_the_first_list_are_greeted_together(run: Runner, ways: Ways) -> None:
    async def main() -> None:
        first, second = ScriptedGateway(), ScriptedGateway(is_tidegate=False)
        ways.closed.add(second.address)
        async with cluster(first, second) as register:
            worker = make(register.place)
            worker.on_message = lambda client, message: worker.send_to_all(message)
            starting = asyncio.create_task(worker.listen())
            await until(lambda: first._tasks)
            await turns(20)
            assert not first.received  # connected, and told nothing
            ways.closed.clear()
            (await first.link()).message(1, "hello")
            assert (await (await second.link()).next(commands.SEND_TO_ALL))[4] == b"hello"
            await starting
            await worker.stop()

    run(main())


def test_a_gateway_that_does_not_accept_holds_the_others_up_for_a_while_only(
    run: Runner, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muster, "SECONDS", 0.1)
    monkeypatch.setattr("tidegate.business.worker.READY_SECONDS", 0.3)

    async def main() -> None:
        first, slow = ScriptedGateway(), ScriptedGateway()
        ways.closed.add(slow.address)
        async with cluster(first, slow) as register, running(make(register.place)) as worker:
            assert extra(worker, "gateways") == 1
            ways.closed.clear()
            await slow.link()

    run(main())


def test_a_gateway_that_refuses_connections_holds_nobody_up(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muster, "SECONDS", 60)

    async def main() -> None:
        first, dead = ScriptedGateway(), ScriptedGateway(port=free_port())
        async with cluster(first) as register:
            register.answer = names((dead, first))
            monkeypatch.setattr("tidegate.business.worker.READY_SECONDS", 0.3)
            async with running(make(register.place)):
                await first.link()

    run(main())


def test_a_worker_may_stop_while_it_connects(run: Runner, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.business.worker.READY_SECONDS", 0.1)

    async def main() -> None:
        first, slow = ScriptedGateway(), ScriptedGateway()
        ways.closed.add(slow.address)
        async with cluster(first, slow) as register:
            async with running(make(register.place)) as worker:
                worker.send_to_all("x")
            await until(lambda: not first._tasks)
            assert not first.received

    run(main())


# What is held


def test_what_is_sent_before_there_is_a_link_goes_out_behind_the_greeting_in_order(run: Runner, ways: Ways) -> None:
    async def main() -> None:
        for is_tidegate in (True, False):
            first, late = ScriptedGateway(), ScriptedGateway(is_tidegate=is_tidegate)
            ways.closed.add(late.address)
            async with cluster(first) as register, running(make(register.place)) as worker, late:
                register.say(names((first, late)))
                await until(lambda late=late: late.address in ways.tried)  # type: ignore[misc]
                for number in range(100):
                    worker.send_to_group("room", str(number))
                worker.send_to_client(late.client_id(7), "last")
                assert failures(worker) == 0
                ways.closed.clear()
                link = await late.link()
                await link.next(commands.SEND_TO_ONE)
                assert late.received[0][0] == commands.WORKER_CONNECT
                sent = [b"%d" % number for number in range(100)]
                assert bodies(late.received, commands.SEND_TO_GROUP) == sent
                assert bodies(first.received, commands.SEND_TO_GROUP) == sent

    run(main())


@pytest.mark.parametrize("is_tidegate", [True, False])
def test_what_is_sent_while_a_link_is_made_again_is_not_lost(run: Runner, hurry: None, is_tidegate: bool) -> None:
    async def main() -> None:
        async with serving(make, is_tidegate=is_tidegate) as (worker, gateway, link):
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            worker.send_to_all("held")
            assert (await (await gateway.link(2)).next(commands.SEND_TO_ALL))[4] == b"held"
            assert failures(worker) == 0

    run(main())


def test_a_gateway_that_is_listed_again_is_connected_to_at_once(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 60)

    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register, running(make(register.place)) as worker:
            (await gateway.link()).hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            register.say(names(()))
            register.say(names((gateway,)))
            await gateway.link(2)

    run(main())


def test_a_gateway_that_is_not_listed_and_has_no_link_gets_nothing(
    run: Runner, ways: Ways, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        first, late = ScriptedGateway(), ScriptedGateway()
        ways.closed.add(late.address)
        async with cluster(first) as register, running(make(register.place)) as worker, late:
            register.say(names((first, late)))
            await until(lambda: late.address in ways.tried)
            worker.send_to_all("a")
            worker.send_to_all("b")
            asking = asyncio.ensure_future(worker.is_online(late.client_id(1)))
            await turns()
            register.say(names((first,)))
            with pytest.raises(ClusterError, match=late.address):
                await asking
            assert failures(worker) == 2
            worker.send_to_client(late.client_id(1), "c")
            assert failures(worker) == 3
            lines = [record.getMessage() for record in caplog.records if "lost" in record.message]
            assert f"2 commands for gateway {late.address} are lost" in lines[0]
            assert f"a command for gateway {late.address} is lost" in lines[1]

    run(main())


def test_what_is_held_is_bounded_and_the_rest_is_counted(
    run: Runner, ways: Ways, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, link):
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            for _ in range(20):
                worker.send_to_client(gateway.client_id(1), "x" * 10_000)
            assert failures(worker) == 11
            assert any("bytes are held" in record.message for record in caplog.records)
            worker.send_to_client(gateway.client_id(1), "x" * 7_000)
            assert failures(worker) == 11
            with pytest.raises(ClusterError, match="bytes are held"):
                await worker.get_all_client_count()

    run(main())


def test_awaited_sends_wait_for_the_link_while_much_is_held(run: Runner, hurry: None, ways: Ways) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, link):
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)

            async def pour() -> None:
                for _ in range(100):
                    await worker.send_to_client(gateway.client_id(1), "x" * 10_000)

            pouring = asyncio.create_task(pour())
            await turns(20)
            assert not pouring.done()
            ways.closed.clear()
            await pouring
            assert len(await (await gateway.link(2)).texts(100)) == 100
            assert failures(worker) == 0

    run(main())


def test_what_is_held_too_long_is_lost_counted_and_told(
    run: Runner, ways: Ways, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.net.reactor.TICK_SECONDS", 0.1)
    monkeypatch.setattr(backlog, "HELD_SECONDS", 0.01)
    monkeypatch.setattr(remote, "HELD_SECONDS", 0.01)

    async def main() -> None:
        async with serving(make) as (worker, gateway, link):
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            for _ in range(3):
                worker.send_to_all("x")
            with pytest.raises(ClusterError, match=gateway.address):
                await worker.get_all_client_count()
            assert failures(worker) == 3
            assert any(
                f"3 commands for gateway {gateway.address} are lost" in record.message for record in caplog.records
            )
            with pytest.raises(ClusterError, match=gateway.address):
                await worker.flush()
            await worker.flush()

    run(main())


# Queries, flush, sessions


def test_a_query_waits_for_the_link_and_sees_what_was_sent_before_it(run: Runner, hurry: None, ways: Ways) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, link):
            gateway.passed_over.clear()
            gateway.answer = lambda asked: b"i:5;"
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            worker.join_group(gateway.client_id(1), "room")
            asking = asyncio.ensure_future(worker.get_client_count_by_group("room"))
            await turns()
            worker.leave_group(gateway.client_id(1), "room")
            ways.closed.clear()
            assert await asking == 5
            order = (commands.JOIN_GROUP, commands.QUERY, commands.LEAVE_GROUP)
            again = await gateway.link(2)
            assert [(await again.next(*order))[0] for _ in order] == list(order)

    run(main())


def test_a_php_gateway_is_asked_once_it_is_linked(run: Runner, hurry: None, ways: Ways) -> None:
    async def main() -> None:
        async with serving(make, is_tidegate=False) as (worker, gateway, link):
            gateway.answer = lambda asked: b"i:5;"
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            asking = asyncio.ensure_future(worker.get_all_client_count())
            given_up = asyncio.ensure_future(worker.get_all_client_count())
            await turns()
            given_up.cancel()
            ways.closed.clear()
            assert await asking == 5

    run(main())


def test_a_query_waits_for_link_and_answer_no_longer_than_for_an_answer(
    run: Runner, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ANSWER_SECONDS", 0.1)

    async def main() -> None:
        async with serving(make) as (worker, gateway, link):
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            with pytest.raises(TimeoutError, match=gateway.address):
                await worker.get_all_client_count()

    run(main())


def test_flush_waits_for_what_is_held(run: Runner, ways: Ways) -> None:
    async def main() -> None:
        first, late = ScriptedGateway(), ScriptedGateway()
        ways.closed.add(late.address)
        async with cluster(first) as register, running(make(register.place)) as worker, late:
            register.say(names((first, late)))
            await until(lambda: late.address in ways.tried)
            worker.send_to_all("x")
            flushing = asyncio.ensure_future(worker.flush())
            await until(lambda: any(packet[0] == commands.QUERY for packet in first.received))
            await turns(10)
            assert not flushing.done()
            ways.closed.clear()
            await flushing
            assert bodies(late.received, commands.SEND_TO_ALL) == [b"x"]

    run(main())


def test_a_session_saved_before_there_is_a_link_again_is_kept_and_shown_at_once(
    run: Runner, hurry: None, ways: Ways
) -> None:
    def create(place: str) -> BusinessWorker:
        worker = make(place)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            if message == "wait":
                await worker.gate.wait()
                client.session["n"] = 1
            client.send(f"{message} {client.session.get('n')}")

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            gateway.online = {1}
            gateway.greeted = lambda peer: peer.message(1, "look")  # leaves before the save has come
            link.message(1, "wait")
            await until(lambda: extra(worker, "events_pending") == 1)
            ways.closed.add(gateway.address)
            link.hang_up()
            await until(lambda: extra(worker, "gateways") == 0)
            worker.gate.set()
            await until(lambda: extra(worker, "events_pending") == 0)
            ways.closed.clear()
            again = await gateway.link(2)
            assert await again.texts(2) == ["wait 1", "look 1"]
            patch = await again.next(commands.PATCH_SESSION)
            assert patch[3] == b'a:1:{s:1:"n";i:1;}'
            await worker.is_online(gateway.client_id(1))  # what comes from here on left behind the save
            again.message(1, "look", ext=b'a:1:{s:1:"n";i:2;}')
            assert await again.texts(1) == ["look 2"]

    run(main())

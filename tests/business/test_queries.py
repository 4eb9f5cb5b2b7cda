"""What a worker asks: on its link where it can, after all that it sent before."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from tests.business.support import ScriptedGateway, cluster, running, serving
from tests.net.support import Runner, turns, until
from tidegate.business import asking, link
from tidegate.business.worker import BusinessWorker
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire import commands, php
from tidegate.wire.packet import Packet, PacketReader


def make(place: str) -> BusinessWorker:
    return BusinessWorker(cluster=place)


def count_of(number: int) -> Any:
    def answer(asked: Packet) -> bytes | None:
        return b"i:%d;" % number if asked[0] == commands.GET_CLIENT_COUNT_BY_GROUP else b"i:0;"

    return answer


def test_a_query_goes_on_the_link_behind_what_was_sent_before(run: Runner) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, peer):
            gateway.passed_over.clear()
            gateway.answer = count_of(3)
            client_id = gateway.client_id(1)
            worker.join_group(client_id, "room")
            assert await worker.get_client_count_by_group("room") == 3
            joined = [packet for packet in peer.packets if packet[0] in (commands.JOIN_GROUP, commands.QUERY)]
            assert [packet[0] for packet in joined] == [commands.JOIN_GROUP, commands.QUERY]
            (asked,) = PacketReader().feed(joined[1][4])
            assert (asked[0], asked[3]) == (commands.GET_CLIENT_COUNT_BY_GROUP, b"room")

    run(main())


def test_answers_of_all_gateways_are_one(run: Runner) -> None:
    async def main() -> None:
        first, second, php_s = ScriptedGateway(), ScriptedGateway(), ScriptedGateway(is_tidegate=False)
        for number, gateway in enumerate((first, second, php_s), 1):
            gateway.answer = count_of(number)
        async with cluster(first, second, php_s) as register, running(make(register.place)) as worker:
            assert await worker.get_client_count_by_group("room") == 6
            counts = await asyncio.gather(*(worker.get_client_count_by_group("room") for _ in range(50)))
            assert counts == [6] * 50
            assert await asyncio.create_task(worker.get_all_client_count()) == 6  # type: ignore[arg-type]

    run(main())


def test_a_php_gateway_is_asked_on_a_connection_of_its_own_with_the_secret_first(run: Runner) -> None:
    async def main() -> None:
        gateway = ScriptedGateway(is_tidegate=False)
        gateway.answer = lambda asked: b"i:1;" if asked[0] == commands.IS_ONLINE else None
        async with cluster(gateway) as register:
            worker = BusinessWorker(cluster=register.place, secret_key="s3cret")
            async with running(worker):
                assert await worker.is_online(gateway.client_id(1)) is True
                assert await worker.is_online(gateway.client_id(1)) is True
                assert [packet[0] for packet in gateway.received] == [200, 202, 11, 11]
                assert gateway.received[1][4] == b'{"secret_key":"s3cret"}'

    run(main())


def test_a_gateway_that_does_not_answer_is_named_and_the_others_have_been_asked(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.net.reactor.TICK_SECONDS", 0.1)
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0)
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.1)

    async def main() -> None:
        mute, mute_php, fine = ScriptedGateway(), ScriptedGateway(is_tidegate=False), ScriptedGateway()
        mute.answer = mute_php.answer = lambda asked: None
        fine.answer = count_of(1)
        async with cluster(mute, mute_php, fine) as register, running(make(register.place)) as worker:
            with pytest.raises(ClusterTimeoutError) as caught:
                await worker.get_client_count_by_group("room")
            assert mute.address in str(caught.value)
            assert mute_php.address in str(caught.value)
            assert fine.address not in str(caught.value)
            assert any(packet[0] == commands.QUERY for packet in fine.received)

    run(main())


def test_a_query_to_a_gateway_that_is_not_there_is_an_error_that_names_it(run: Runner, hurry: None) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, peer):
            with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1 "):
                await worker.is_online("7f000001000100000001")
            gateway.answer = lambda asked: peer.hang_up()
            with pytest.raises(ClusterError, match=gateway.address):
                await worker.is_online(gateway.client_id(1))

    run(main())


def test_an_answer_that_cannot_be_read_is_an_error_that_names_the_gateway(run: Runner) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, _):
            gateway.answer = lambda asked: b"nonsense"
            with pytest.raises(ClusterError, match=gateway.address):
                await worker.is_online(gateway.client_id(1))

    run(main())


def test_a_query_that_is_cancelled_leaves_the_others_in_step(run: Runner) -> None:
    async def main() -> None:
        for is_tidegate in (True, False):
            async with serving(make, is_tidegate=is_tidegate) as (worker, gateway, _):
                numbers = iter(range(100))
                gateway.answer = lambda asked, numbers=numbers: b"i:%d;" % next(numbers)  # type: ignore[misc]
                assert await worker.get_all_client_count() == 0  # now there is a connection
                tasks = [asyncio.ensure_future(worker.get_all_client_count()) for _ in range(10)]
                await turns()
                tasks[3].cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert isinstance(results[3], asyncio.CancelledError)
                assert [result for result in results if isinstance(result, int)] == [1, 2, 3, 5, 6, 7, 8, 9, 10]

    run(main())


def test_a_query_that_is_never_awaited_is_logged_with_its_line(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(make) as (worker, _, _):
            worker.get_client_id_count_by_group("room")  # this line
            gc.collect()
            (record,) = [record for record in caplog.records if "never awaited" in record.message]
            assert record.levelno == logging.ERROR
            assert __file__ in record.message
            with open(__file__) as file:
                line = next(number for number, text in enumerate(file, 1) if text.endswith("# this line\n"))
            assert f"line {line}:" in record.message
            assert "get_client_count_by_group" in record.message

    run(main())


def test_close_uid_is_a_plain_call_and_may_be_awaited(run: Runner) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, peer):
            gateway.answer = lambda asked: php.dumps([5, 6])
            worker.close_uid("ann", "bye")
            for number in (5, 6):
                packet = await peer.next(commands.KICK)
                assert (packet[1], packet[4]) == (number, b"bye")
            await worker.close_uid("ann")
            assert [(await peer.next(commands.KICK))[1] for _ in (5, 6)] == [5, 6]

    run(main())


def test_flush_returns_when_all_is_processed_and_raises_once_after_a_break(run: Runner, hurry: None) -> None:
    async def main() -> None:
        async with serving(make) as (worker, gateway, peer):
            worker.send_to_all("a")
            await worker.flush()
            assert any(packet[0] == commands.SEND_TO_ALL for packet in gateway.received)
            peer.hang_up()
            await gateway.link(2)
            await until(lambda: worker.snapshot()["extra"]["gateways"] == 1)
            with pytest.raises(ClusterError, match=gateway.address):
                await worker.flush()
            await worker.flush()

    run(main())


def test_a_send_that_reaches_nobody_is_counted_and_logged(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with cluster() as register, running(make(register.place)) as worker:
            worker.send_to_all("x")
            await worker.send_to_client("7f000001000100000001", "x")
            worker.send_to_all("x", client_ids=[])
            assert worker.snapshot()["send_failures"] == 2
            assert any("no gateway is known yet" in record.message for record in caplog.records)
            assert any("127.0.0.1:1" in record.message for record in caplog.records)
            with pytest.raises(ClusterError, match="no gateway is known"):
                await worker.get_all_client_count()

    run(main())


def test_awaited_sends_wait_while_too_much_is_queued(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        return BusinessWorker(cluster=place, send_to_gateway_limit=100_000)

    async def main() -> None:
        async with serving(create) as (worker, gateway, peer):
            peer._writer.transport.pause_reading()  # type: ignore[attr-defined]
            client_id = gateway.client_id(1)
            sent = 0

            async def pour() -> None:
                nonlocal sent
                for _ in range(1000):
                    await worker.send_to_client(client_id, "x" * 20_000)
                    sent += 1

            pouring = asyncio.create_task(pour())
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < 1000
            assert worker.snapshot()["send_failures"] == 0
            peer._writer.transport.resume_reading()  # type: ignore[attr-defined]
            await pouring
            assert len(await peer.texts(1000)) == 1000

    run(main())


def test_plain_sends_far_over_the_limit_are_counted_and_dropped(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        return BusinessWorker(cluster=place, send_to_gateway_limit=100_000)

    async def main() -> None:
        async with serving(create) as (worker, gateway, peer):
            for _ in range(100):
                worker.send_to_client(gateway.client_id(1), "x" * 20_000)
            failed = worker.snapshot()["send_failures"]
            assert 0 < failed < 100
            assert len(await peer.texts(100 - failed)) == 100 - failed

    run(main())

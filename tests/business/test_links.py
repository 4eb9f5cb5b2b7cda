"""Links to gateways: made, made again, and what happens when a gateway is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from tests.business.support import ScriptedGateway, cluster, extra, names, running, serving
from tests.net.support import Runner, turns, until
from tests.ports import free_port
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.wire import commands


def logging_worker(log: list[str]) -> Callable[[str], BusinessWorker]:
    """A worker that notes messages and ends; a message "wait" waits for `worker.gate`."""

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            log.append(f"{client._number} {message}")
            if message == "wait":
                await worker.gate.wait()
            client.send(message)

        @worker.on_close
        def leave(client: Client) -> None:
            log.append(f"{client._number} closed")

        return worker

    return create


def test_a_link_is_made_to_every_gateway_that_register_names_now_and_later(run: Runner) -> None:
    async def main() -> None:
        first, second = ScriptedGateway(), ScriptedGateway(is_tidegate=False)
        async with cluster(first) as register, running(BusinessWorker(cluster=register.place)) as worker, second:
            assert len(first.links) == 1  # before the worker is ready
            register.say(names((first, second)))
            await second.link()
            await until(lambda: extra(worker, "gateways") == 2)
            # What Register does not name any more keeps its link.
            register.say(names(()))
            worker.send_to_all("x")
            assert (await first.links[0].next(commands.SEND_TO_ALL))[4] == b"x"
            assert (await second.links[0].next(commands.SEND_TO_ALL))[4] == b"x"
            assert extra(worker, "gateways") == 2

    run(main())


def test_each_process_has_a_key_of_its_own_and_keeps_it(run: Runner, hurry: None) -> None:
    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            async with running(BusinessWorker(cluster=register.place)):
                (await gateway.link()).hang_up()
                again = await gateway.link(2)
                assert gateway.links[0].greeting == again.greeting
            async with running(BusinessWorker(cluster=register.place)):
                successor = await gateway.link(3)
                assert successor.greeting is not None
                assert again.greeting is not None
                assert successor.greeting["worker_key"] != again.greeting["worker_key"]

    run(main())


def test_clients_are_kept_over_a_broken_link_and_those_gone_meanwhile_are_closed(run: Runner, hurry: None) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            for number in (1, 2, 3):
                link.message(number, "hello")
            await link.texts(3)
            gateway.online = {1, 3}
            link.hang_up()
            again = await gateway.link(2)
            await until(lambda: "2 closed" in log)
            assert [line for line in log if "closed" in line] == ["2 closed"]
            again.message(1, "still here")
            assert await again.texts(1) == ["still here"]
            assert worker.snapshot()["connections"] == 2
            await again.progress(1, 1)  # counted from the beginning of this link

    run(main())


def test_when_a_gateway_does_not_come_back_all_its_clients_are_closed(run: Runner, hurry: None) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            for number in range(1, 1001):
                link.message(number, "hello")
            await link.texts(1000)
            await gateway.stop()
            await until(lambda: worker.snapshot()["connections"] == 0)
            assert sorted(line for line in log if "closed" in line) == sorted(f"{n} closed" for n in range(1, 1001))

    run(main())


@pytest.mark.parametrize("is_tidegate", [True, False])
def test_clients_of_a_gateway_that_started_anew_are_closed(run: Runner, hurry: None, is_tidegate: bool) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log), is_tidegate=is_tidegate) as (worker, gateway, link):
            link.message(1, "hello")
            await link.texts(1)
            link.hang_up()
            await gateway.link(2)
            await until(lambda: log == ["1 hello", "1 closed"])
            assert worker.snapshot()["connections"] == 0

    run(main())


def test_events_that_a_living_gateway_sends_again_are_handled_once(run: Runner, hurry: None) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            gateway.online = {1}
            link.message(1, "wait")
            link.message(1, "next")
            await until(lambda: extra(worker, "events_pending") == 2)
            link.hang_up()
            again = await gateway.link(2)
            again.message(1, "next")  # it was not begun, so that the gateway gives it to whoever is there
            again.message(1, "last")
            await until(lambda: extra(worker, "events_pending") == 3)
            worker.gate.set()
            await again.progress(2, 2)
            assert log == ["1 wait", "1 next", "1 last"]
            assert extra(worker, "events_returned") == 1

    run(main())


def test_what_had_come_of_a_dead_gateway_is_handled_before_its_clients_are_closed(run: Runner, hurry: None) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            link.message(1, "wait")
            link.message(1, "next")
            await until(lambda: extra(worker, "events_pending") == 2)
            await gateway.stop()
            worker.gate.set()
            await until(lambda: worker.snapshot()["connections"] == 0)
            assert log == ["1 wait", "1 next", "1 closed"]

    run(main())


def test_clients_whose_end_another_worker_was_told_of_are_forgotten_in_time(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.net.reactor.TICK_SECONDS", 0.1)
    monkeypatch.setattr("tidegate.business.keeper.LOOK_SECONDS", 1)
    monkeypatch.setattr("tidegate.business.keeper.LOOK_PARTS", 1)
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            gateway.online = {1, 3}
            for number in (1, 2, 3):
                link.message(number, "hello")
            link.message(4, "wait")
            await until(lambda: worker.snapshot()["connections"] == 3)
            worker.gate.set()
            await until(lambda: worker.snapshot()["connections"] == 2)
            assert not any("closed" in line for line in log)

    run(main())


def test_a_gateway_that_refuses_is_an_error_that_speaks_of_the_secret_once(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gateway = ScriptedGateway(is_tidegate=False)
        async with cluster(gateway) as register:
            worker = BusinessWorker(cluster=register.place, secret_key="s3cret")
            async with running(worker):
                for count in (1, 2, 3):
                    (await gateway.link(count)).hang_up()
                await gateway.link(4)
            lines = [record for record in caplog.records if "refuses" in record.message]
            assert [record.levelno for record in lines] == [logging.ERROR]
            assert gateway.address in lines[0].message
            assert "secret_key" in lines[0].message
            assert "s3cret" not in caplog.text

    run(main())


def test_a_worker_is_ready_without_a_register_and_works_once_there_is_one(
    run: Runner, hurry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.business.worker.READY_SECONDS", 0.1)
    monkeypatch.setattr("tidegate.cluster.keeper.RETRY_SECONDS", 0.05)

    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            await register.stop()
            async with running(BusinessWorker(cluster=register.place)):
                await register.start()
                await gateway.link()

    run(main())


def test_packets_that_are_unknown_or_malformed_touch_nothing_else(run: Runner, hurry: None) -> None:
    log: list[str] = []

    async def main() -> None:
        async with serving(logging_worker(log)) as (worker, gateway, link):
            gateway.online = {1}
            link.tell(199, 1, b"what?")
            link.tell(commands.QUERY, 77, b"i:0;")
            link.tell(commands.PING, 0, ext=b"{nonsense")
            link.message(1, "fine")
            assert await link.texts(1) == ["fine"]
            assert worker.snapshot()["protocol_errors"] == 1
            link.say(b"\x00\x00\x00\x05garbage that is no packet at all....")
            again = await gateway.link(2)
            again.message(1, "fine again")
            assert await again.texts(1) == ["fine again"]

    run(main())


# Leaving


def test_a_worker_that_leaves_drains_and_releases_its_clients_as_they_become_free(run: Runner) -> None:
    log: list[str] = []

    async def main() -> None:
        gateway = ScriptedGateway()
        gateway.answers_drain = False
        async with cluster(gateway) as register:
            worker = logging_worker(log)(register.place)
            worker.on_worker_stop = lambda worker: log.append("worker stops")
            await worker.listen()
            link = await gateway.link()
            for number in (1, 2, 3):
                link.message(number, "hello")
            link.message(4, "wait")
            await until(lambda: len(log) == 4)
            stopping = asyncio.create_task(worker.stop(graceful=True, seconds=5, reload=True))
            await link.next(commands.DRAIN)
            # What was sent before the gateway had heard of it is handled still.
            link.message(1, "late")
            link.message(4, "queued")
            link.tell(commands.DRAIN, 0)
            released: set[int] = set()
            while len(released) < 3:
                released |= numbers((await link.next(commands.RELEASE))[4])
            assert released == {1, 2, 3}
            assert "1 late" in log
            assert not stopping.done()
            worker.gate.set()
            assert numbers((await link.next(commands.RELEASE))[4]) == {4}
            await stopping
            await until(lambda: not link.is_open)
            assert log[-1] == "worker stops"
            assert log[-2] == "4 queued"
            assert not any("closed" in line for line in log)
            sent = [packet[0] for packet in gateway.received]
            assert sent[-1] in (commands.PROGRESS, commands.RELEASE)

    run(main())


def numbers(body: bytes) -> set[int]:
    return {int.from_bytes(body[at : at + 4]) for at in range(0, len(body), 4)}


def test_what_handlers_send_at_the_last_moment_arrives(run: Runner) -> None:
    async def main() -> None:
        for is_tidegate in (True, False):
            gateway = ScriptedGateway(is_tidegate=is_tidegate)
            async with cluster(gateway) as register:
                worker = BusinessWorker(cluster=register.place)
                worker.on_message = lambda client, message: client.send(message)

                @worker.on_worker_stop
                async def farewell(worker: BusinessWorker) -> None:
                    await turns()
                    await worker.send_to_all("farewell")

                await worker.listen()
                link = await gateway.link()
                link.message(1, "hello")
                await until(lambda worker=worker: worker.snapshot()["connections"] == 1)  # type: ignore[misc]
                await worker.stop(graceful=True, seconds=5)
                assert (await link.next(commands.SEND_TO_ONE))[4] == b"hello"
                assert (await link.next(commands.SEND_TO_ALL))[4] == b"farewell"

    run(main())


def test_with_a_php_gateway_what_was_taken_is_ended_before_the_link_closes(run: Runner) -> None:
    log: list[str] = []

    async def main() -> None:
        gateway = ScriptedGateway(is_tidegate=False)
        async with cluster(gateway) as register:
            worker = logging_worker(log)(register.place)
            await worker.listen()
            link = await gateway.link()
            link.message(1, "wait")
            link.message(1, "queued")
            await until(lambda: extra(worker, "events_pending") == 2)
            stopping = asyncio.create_task(worker.stop(graceful=True, seconds=5))
            await turns(10)
            link.message(1, "too late")
            worker.gate.set()
            await stopping
            assert log == ["1 wait", "1 queued"]
            assert await link.texts(2) == ["wait", "queued"]

    run(main())


def test_a_handler_that_does_not_end_is_cancelled_when_the_time_is_over(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            worker = logging_worker(log)(register.place)
            await worker.listen()
            link = await gateway.link()
            link.message(1, "wait")
            await until(lambda: log)
            await worker.stop(graceful=True, seconds=0.2)
            assert any("1 handlers were not given the time" in record.message for record in caplog.records)

    run(main())


def test_a_stop_with_a_gateway_gone_closes_its_clients_first(run: Runner) -> None:
    log: list[str] = []

    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            worker = logging_worker(log)(register.place)
            await worker.listen()
            link = await gateway.link()
            link.message(1, "hello")
            await link.texts(1)
            await gateway.stop()
            await until(lambda: extra(worker, "gateways") == 0)
            await worker.stop(graceful=False, seconds=2)
            assert log == ["1 hello", "1 closed"]

    run(main())


def test_a_start_that_fails_leaves_nothing_behind(run: Runner) -> None:
    async def main() -> None:
        worker = BusinessWorker(cluster=f"127.0.0.1:{free_port()}", threads=2)

        @worker.on_worker_start
        async def start(worker: BusinessWorker) -> None:
            raise LookupError("no database")

        with pytest.raises(LookupError, match="no database"):
            await worker.listen()
        with pytest.raises(RuntimeError, match="does not run"):
            worker.send_to_all("x")

    run(main())

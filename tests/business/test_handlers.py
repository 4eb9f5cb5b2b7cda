"""Handlers: in which order they are called, how many of them, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from pathlib import Path

import pytest

from tests.business.support import extra, serving
from tests.net.support import Runner, until
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.wire import commands

VECTORS = Path(__file__).parents[1] / "vectors" / "gateway_events.json"


def test_a_message_is_answered(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        def echo(client: Client, message: str) -> None:
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            link.message(7, "héllo")
            packet = await link.next(commands.SEND_TO_ONE)
            assert packet[1:5] == (7, commands.SCALAR, b"", "héllo".encode())
            assert await link.progress(1, 1) == []
            await until(lambda: worker.snapshot()["connections"] == 1)

    run(main())


def test_events_of_a_client_stay_in_order_whatever_handlers_wait_for(run: Runner) -> None:
    clients, each = 20, 250
    seen: dict[int, list[int]] = {}
    wait = random.Random(1)

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, max_pending_events=100_000)

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            number = int(message)
            for _ in range(wait.choice((0, 0, 0, 1, 2))):
                await asyncio.sleep(0)
            if wait.random() < 0.02:
                await asyncio.sleep(wait.random() * 0.002)
            seen.setdefault(client._number, []).append(number)
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            for number in range(each):
                for client in range(clients):
                    link.message(client, str(number))
            texts = await link.texts(clients * each)
            assert len(texts) == clients * each
            assert seen == {client: list(range(each)) for client in range(clients)}
            await until(lambda: extra(worker, "events_pending") == 0)

    run(main())


def test_clients_are_served_at_the_same_time_and_each_in_turn(run: Runner) -> None:
    log: list[str] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            log.append(f"{client._number} begins {message}")
            await worker.gate.wait()
            log.append(f"{client._number} ends {message}")

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            for client in (1, 2):
                link.message(client, "a")
                link.message(client, "b")
            await until(lambda: len(log) == 2)
            assert log == ["1 begins a", "2 begins a"]
            worker.gate.set()
            await link.progress(4, 4)
            assert [line for line in log if line[0] == "1"] == ["1 begins a", "1 ends a", "1 begins b", "1 ends b"]

    run(main())


def test_many_handlers_that_wait_are_all_begun(run: Runner) -> None:
    begun = 0

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            nonlocal begun
            begun += 1
            await worker.gate.wait()

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            for client in range(1000):
                link.message(client, "x")
            await until(lambda: begun == 1000)
            worker.gate.set()
            await link.progress(1000, 1000)

    run(main())


def test_an_async_handler_is_in_a_task_with_context_variables_of_its_own(run: Runner) -> None:
    current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nobody")
    seen: list[str] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            seen.append(current.get())
            current.set(message)
            async with asyncio.timeout(5):
                if message == "waits":
                    await asyncio.sleep(0.01)
            assert asyncio.current_task() is not None
            assert current.get() == message

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            for client, message in enumerate(("quick", "waits", "quick again", "waits")):
                link.message(client, message)
            await link.progress(4, 4)
            assert seen == ["nobody"] * 4
            assert worker.snapshot()["handler_errors"] == 0

    run(main())


def test_an_error_in_a_handler_is_logged_with_the_client_and_all_live_on(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_connect
        def fails(client: Client) -> None:
            raise LookupError("at connect")

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            if message == "now":
                raise LookupError("at once")
            if message == "later":
                await asyncio.sleep(0)
                raise LookupError("later")
            if message == "cancelled":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(1)
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            link.tell(commands.ON_CONNECT, 1)
            for message in ("now", "later", "cancelled", "fine"):
                link.message(1, message)
            assert await link.texts(1) == ["fine"]
            await link.progress(5, 5)
            assert worker.snapshot()["handler_errors"] == 4
            lines = [record for record in caplog.records if gateway.client_id(1) in record.message]
            assert len(lines) == 4
            assert [bool(record.exc_info) for record in lines] == [True, True, True, False]

    caplog.set_level(logging.WARNING)
    run(main())


def test_reading_pauses_over_the_bound_of_pending_events_and_goes_on_at_half(run: Runner) -> None:
    bound, sent = 100, 10_000

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, max_pending_events=bound)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            await worker.gate.wait()
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            body = "x" * 1000
            for number in range(sent):
                link.message(number % 50, body)
            await until(lambda: extra(worker, "events_pending") > bound)
            for _ in range(50):
                await asyncio.sleep(0.001)
            # What one read has brought is taken besides.
            assert extra(worker, "events_pending") < bound + 300
            worker.gate.set()
            assert len(await link.texts(sent)) == sent

    run(main())


def test_a_query_is_answered_though_too_many_events_are_pending(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, max_pending_events=10)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            await worker.gate.wait()
            client.send(str(await worker.is_online(client.id)))

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            gateway.answer = lambda asked: b"i:1;"
            for client in range(30):
                link.message(client, "x")
            await until(lambda: extra(worker, "events_pending") == 30)
            worker.gate.set()
            assert await link.texts(30) == ["True"] * 30

    run(main())


def test_what_came_first_is_begun_first_where_async_handlers_do_not_wait(run: Runner) -> None:
    seen: list[str] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            seen.append(message)

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            for number in range(9):
                link.message(number // 3, str(number))
            assert await link.progress(9, 9) == []
            assert seen == [str(number) for number in range(9)]

    run(main())


def test_an_error_amid_messages_that_came_together_is_of_one_alone(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            client.session[message] = 1
            if message == "b":
                raise ValueError(message)
            client.send(",".join(client.session))

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            for message in "abc":
                link.message(7, message)
            assert await link.texts(2) == ["a", "a,c"]
            assert await link.progress(3, 3) == []

    run(main())
    assert [record.message.endswith("failed") for record in caplog.records if record.levelno >= logging.ERROR] == [True]

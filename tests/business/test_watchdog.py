"""Handlers that take long, told of while they do."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.business.support import extra, serving
from tests.net.support import Runner, until
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if "has not ended" in record.message]


def test_a_handler_that_waits_too_long_is_logged_with_where_it_waits_once(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def inner(gate: asyncio.Event) -> None:
        await gate.wait()  # it waits here

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, handler_timeout=0.1)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def slow(client: Client, message: str) -> None:
            await inner(worker.gate)
            client.send("done")

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            link.message(1, "x")
            await until(lambda: extra(worker, "handler_timeouts"))
            await asyncio.sleep(0.2)
            (report,) = reports(caplog)
            assert gateway.client_id(1) in report
            assert "slow" in report
            assert "it waits here" in report
            worker.gate.set()
            assert await link.texts(1) == ["done"]

    run(main())


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_that_blocks_the_loop_is_logged_while_it_does(
    run: Runner, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, handler_timeout=0.1)

        def block() -> None:
            deadline = time.monotonic() + 10
            while not reports(caplog) and time.monotonic() < deadline:
                time.sleep(0.01)  # it blocks here

        if is_async:

            async def receive(client: Client, message: str) -> None:
                await asyncio.sleep(0)
                block()
                client.send("done")

            worker.on_message = receive
        else:

            def receive_blocking(client: Client, message: str) -> None:
                block()
                client.send("done")

            worker.on_message = receive_blocking
        return worker

    async def main() -> None:
        async with serving(create) as (_, gateway, link):
            link.message(7, "x")
            assert await link.texts(1) == ["done"]
            (report,) = reports(caplog)
            assert gateway.client_id(7) in report
            assert "receive" in report
            assert "it blocks here" in report

    run(main())


def test_a_handler_that_takes_long_in_a_thread_is_logged_with_the_threads_stack(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, handler_timeout=0.1, threads=2)

        @worker.on_message
        def slow(client: Client, message: str) -> None:
            gate.wait(10)  # the thread is here
            client.send("done")

        return worker

    async def main() -> None:
        async with serving(create) as (_, gateway, link):
            link.message(1, "x")
            await until(lambda: reports(caplog))
            gate.set()
            assert await link.texts(1) == ["done"]
            (report,) = reports(caplog)
            assert gateway.client_id(1) in report
            assert "the thread is here" in report

    run(main())


def test_handlers_that_keep_their_time_are_not_logged(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, handler_timeout=0.3)

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            await asyncio.sleep(0.001)
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            deadline = time.monotonic() + 0.6
            while time.monotonic() < deadline:
                link.message(1, "x")
                await link.texts(1)
            assert not reports(caplog)

    run(main())

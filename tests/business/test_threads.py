"""Handlers in threads, which block, send and ask."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.business.support import Peer, extra, serving
from tests.net.support import Runner
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.wire import commands, php


def test_handlers_that_block_run_side_by_side_each_client_in_order(run: Runner) -> None:
    clients, each = 16, 20
    order: dict[int, list[int]] = {}
    lock = threading.Lock()
    at_once = most = 0

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, threads=8)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.001)
            order.setdefault(client._number, []).append(int(message))
            client.session["last"] = message
            client.send(f"{message} a")
            worker.send_to_client(client.id, f"{message} b")
            assert worker.sync.is_online(client.id) is True
            client.send(f"{message} c")
            with lock:
                at_once -= 1

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            gateway.answer = lambda asked: b"i:1;"
            for number in range(each):
                for client in range(1, clients + 1):
                    link.message(client, str(number))
            await link.progress(clients * each, clients * each)
            assert most == 8
            assert order == {client: list(range(each)) for client in range(1, clients + 1)}
            sent = await sends(link, clients * each * 3)
            for client in range(1, clients + 1):
                assert sent[client] == [f"{number} {part}" for number in range(each) for part in "abc"]
            assert worker.snapshot()["handler_errors"] == 0
            saves = [packet for packet in gateway.received if packet[0] == commands.PATCH_SESSION]
            assert len(saves) == clients * each

    run(main())


async def sends(link: Peer, count: int) -> dict[int, list[str]]:
    sent: dict[int, list[str]] = {}
    for _ in range(count):
        packet = await link.next(commands.SEND_TO_ONE)
        sent.setdefault(packet[1], []).append(packet[4].decode())
    return sent


def test_async_handlers_stay_in_the_loop_and_def_handlers_may_return_something_to_await(run: Runner) -> None:
    seen: dict[str, Any] = {}

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, threads=2)

        @worker.on_connect
        async def welcome(client: Client) -> None:
            seen["connect"] = threading.get_ident()

        @worker.on_message
        def receive(client: Client, message: str) -> Any:
            seen["message"] = threading.get_ident()

            async def rest() -> None:
                seen["rest"] = threading.get_ident()
                client.session["n"] = 1

            return rest()

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            link.tell(commands.ON_CONNECT, 1)
            link.message(1, "x")
            packet = await link.next(commands.PATCH_SESSION)
            assert php.loads_array(packet[3]) == {"n": 1}
            await link.progress(2, 2)
            here = threading.get_ident()
            assert seen["connect"] == seen["rest"] == here != seen["message"]

    run(main())


def test_an_error_in_a_thread_is_the_handlers_alone(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, threads=1)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            if message == "exit":
                raise SystemExit(1)
            if message == "fail":
                raise LookupError("here")
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            for message in ("exit", "fail", "fine"):
                link.message(1, message)
            assert await link.texts(1) == ["fine"]
            assert worker.snapshot()["handler_errors"] == 2
            assert sum(gateway.client_id(1) in record.message for record in caplog.records) == 2

    run(main())


def test_events_for_which_no_thread_is_free_are_not_begun(run: Runner) -> None:
    gate = threading.Event()

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, threads=2)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            gate.wait(10)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            for client in range(5):
                link.message(client, "x")
            await link.progress(2, 0)
            assert extra(worker, "events_pending") == 5
            gate.set()
            await link.progress(5, 5)

    run(main())


def test_sync_in_the_loop_and_queries_in_a_thread_are_clear_errors(run: Runner) -> None:
    errors: list[str] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, threads=1)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            try:
                worker.is_online(client.id)
            except RuntimeError as error:
                errors.append(str(error))

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            link.message(1, "x")
            await link.progress(1, 1)
            assert errors == [
                "is_online is awaited in the worker's loop; in a thread, call sync.is_online of the worker"
            ]
            with pytest.raises(RuntimeError, match="await send_to_all of the worker"):
                worker.sync.send_to_all("x")

    run(main())


def test_a_thread_of_the_users_own_sends_in_order(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        return BusinessWorker(cluster=place)

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            client_id = gateway.client_id(1)

            def work() -> int:
                for number in range(500):
                    worker.send_to_client(client_id, str(number))
                worker.sync.send_to_client(client_id, "500")
                worker.sync.flush()
                return len([packet for packet in gateway.received if packet[0] == commands.SEND_TO_ONE])

            assert await asyncio.to_thread(work) == 501
            assert await link.texts(501) == [str(number) for number in range(501)]

    run(main())

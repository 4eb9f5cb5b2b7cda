"""Handlers: what they get, in which order they are called, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from tests.business.support import ScriptedGateway, extra, serving
from tests.net.support import Runner, until
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.protocols import Handshake
from tidegate.wire import commands, php

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


def test_recorded_events_give_what_handlers_expect(run: Runner) -> None:
    seen: list[Any] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.on_connect = lambda client: seen.append(("connect", client.id, client.remote_ip, client.session))
        worker.on_message = lambda client, message: seen.append((message, dict(client.session)))
        worker.on_close = lambda client: seen.append(("close", client.remote_port, client.gateway_port, client.session))

        @worker.on_websocket_connect
        def shaken(client: Client, handshake: Handshake) -> None:
            seen.append(handshake)

        return worker

    async def main() -> None:
        recorded = json.loads(VECTORS.read_text())
        async with serving(create, is_tidegate=False) as (_, _, link):
            for step in recorded:
                if step["sent_by"] == "gateway":
                    link.say(bytes.fromhex(step["packet"]))
            await until(lambda: len(seen) == 7)
        handshake = seen.pop(1)
        assert handshake.path == "/chat"
        assert handshake.query == {"token": "abc", "room": "直"}
        assert handshake.cookies == {"sid": "1", "lang": "zh"}
        assert handshake.remote_ip == "127.0.0.1"
        assert handshake.headers["origin"] == "http://example.com"
        assert handshake.headers["user-agent"] == "UA/1"
        assert handshake.headers["sec-websocket-key"] == "FjtMU9mjZBluW5bB4cwWFQ=="
        assert "content-type" not in handshake.headers
        assert seen == [
            ("connect", "7f0000010b5400000001", "127.0.0.1", {}),
            ("login", {}),
            ("after session set", {"name": "Ann"}),
            (b"\x00\xff\x80", {"name": "Ann"}),
            ("", {"name": "Ann"}),
            ("close", 41892, 7272, {"name": "Ann"}),
        ]

    run(main())


def test_messages_are_text_or_binary_or_what_php_serialized(run: Runner) -> None:
    seen: list[Any] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.on_message = lambda client, message: seen.append(message)
        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            link.message(1, b"text")
            link.message(1, b"binary", flags=commands.SCALAR | commands.BINARY)
            link.message(1, b"\xff\xfe")
            link.message(1, php.dumps({"a": [1, None]}), flags=0)
            link.message(1, b'O:8:"stdClass":0:{}', flags=0)
            link.message(1, b"last")
            await link.progress(6, 6)
            assert seen == ["text", b"binary", b"\xff\xfe", {"a": [1, None]}, "last"]
            assert worker.snapshot()["dropped_messages"] == 1

    run(main())


def test_an_ipv6_client_has_its_address_and_its_session(run: Runner) -> None:
    seen: list[Any] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.on_message = lambda client, message: seen.append((client.remote_ip, client.session))
        return worker

    async def main() -> None:
        address = bytes(15) + b"\x01"
        async with serving(create) as (_, _, link):
            for session in (b"", php.dumps({"a": 1})):
                link.message(1, "x", ext=address + session, flags=commands.SCALAR | commands.IPV6)
            await link.progress(2, 2)
            assert seen == [("::1", {}), ("::1", {"a": 1})]

    run(main())


def test_only_events_with_a_handler_are_asked_for_and_the_end_of_each_client(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, name="chat")
        worker.on_message = print
        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            assert link.greeting is not None
            assert link.greeting["events"] == ["message", "close"]
            assert link.greeting["tidegate"] == 1
            assert link.greeting["secret_key"] == ""
            assert link.greeting["worker_key"].startswith("chat:0:")
            # What comes all the same does no harm.
            link.tell(commands.ON_CONNECT, 1)
            await link.progress(1, 1)
            await until(lambda: worker.snapshot()["connections"] == 1)
            link.tell(commands.ON_CLOSE, 1)
            await link.progress(2, 2)
            assert worker.snapshot()["connections"] == 0

    run(main())


def test_events_of_a_client_stay_in_order_whatever_handlers_wait_for(run: Runner) -> None:
    clients, each = 20, 500
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
            assert len(texts) == 10_000
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
    bound, sent = 100, 20_000

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


def test_progress_names_what_was_started_out_of_order_in_the_same_write_as_commands(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)
        worker.gate = asyncio.Event()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            if message == "wait":
                await worker.gate.wait()
            client.send(message)

        return worker

    async def main() -> None:
        async with serving(create) as (worker, _, link):
            link.message(1, "wait")
            link.message(1, "queued")
            link.message(2, "quick")
            link.message(3, "quick")
            # 1, 3 and 4 are started, 3 and 4 finished.
            assert await link.progress(3, 2) in ([(1, 3, 4)], [(3, 4)])  # in one report or in two
            assert await link.texts(2) == ["quick", "quick"]
            assert link.writes[-1] == [commands.SEND_TO_ONE, commands.SEND_TO_ONE, commands.PROGRESS]
            worker.gate.set()
            names = await link.progress(4, 4)
            assert names in ([], [(2,)])
            link.message(4, "quick")
            assert await link.progress(5, 5) == []

    run(main())


def check_no_extensions(gateway: ScriptedGateway) -> None:
    for command, _, flags, ext, body, *_ in gateway.received:
        assert command not in (210, 211, 212, 213, 214), command
        assert not flags & (commands.BINARY | commands.IPV6), (command, flags)
        assert b"tidegate" not in ext
        if command != commands.WORKER_CONNECT:
            assert b"tidegate" not in body


def test_a_php_gateway_is_sent_no_extension(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        async def receive(client: Client, message: str | bytes) -> None:
            client.session["n"] = 1
            client.send(b"\x00binary")
            worker.send_to_all(b"binary")
            worker.send_to_client(client.id, b"binary")
            client.join_group("room")
            client.bind_uid(5)
            assert await worker.is_online(client.id) is True
            await worker.flush()
            client.close(b"bye")

        return worker

    async def main() -> None:
        async with serving(create, is_tidegate=False) as (worker, gateway, link):
            gateway.answer = lambda asked: b"i:1;"
            link.message(1, "go")
            assert (await link.next(commands.KICK))[4] == b"bye"
            assert (await link.next(commands.SET_SESSION))[3] == php.dumps({"n": 1})
            await until(lambda: extra(worker, "events_pending") == 0)
            assert worker.snapshot()["handler_errors"] == 0
        check_no_extensions(gateway)

    run(main())


def test_binary_is_marked_and_raw_is_not(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            client.send(b"b")
            client.send("t", raw=True)
            client.send(b"r", raw=True)
            client.close()

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            link.message(1, "go")
            flags = [(await link.next(commands.SEND_TO_ONE))[2] for _ in range(3)]
            assert flags == [commands.SCALAR | commands.BINARY, commands.SCALAR | commands.RAW, 3]
            packet = await link.next(commands.KICK)
            assert (packet[2], packet[4]) == (0, b"N;")

    run(main())


def test_arguments_that_are_wrong_are_errors_at_the_call(run: Runner) -> None:
    errors: list[str] = []

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place, max_packet_size=1000)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            for call in (
                lambda: client.send("x" * 1000),
                lambda: client.send(5),  # type: ignore[arg-type]
                lambda: client.join_group(""),
                lambda: client.bind_uid(True),
                lambda: worker.is_online("nonsense"),
                lambda: worker.send_to_group("", "x"),
            ):
                try:
                    call()
                except (TypeError, ValueError) as error:
                    errors.append(type(error).__name__)

        return worker

    async def main() -> None:
        async with serving(create) as (_, _, link):
            link.message(1, "go")
            await link.progress(1, 1)
            assert errors == ["ValueError", "TypeError", "ValueError", "TypeError", "ValueError", "ValueError"]

    run(main())

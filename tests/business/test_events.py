"""What handlers get of an event, and what goes back to a gateway, Tidegate's and such as PHP's is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.business.support import ScriptedGateway, extra, serving
from tests.net.support import Runner, until
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.protocols import Handshake
from tidegate.wire import commands, php

VECTORS = Path(__file__).parents[1] / "vectors" / "gateway_events.json"


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

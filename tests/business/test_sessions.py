"""Sessions between a worker and its gateway."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.business.support import Peer, extra, serving
from tests.net.support import Runner, until
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.wire import commands, php, session

OBJECT = b'a:1:{s:1:"o";O:8:"stdClass":0:{}}'


def with_handler(handler: Callable[..., Any]) -> Callable[[str], BusinessWorker]:
    """A worker for `on_message`; the handler gets the worker too."""

    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        def receive(client: Client, message: str) -> Any:
            return handler(worker, client, message)

        return worker

    return create


async def patch(link: Peer) -> tuple[int, dict[Any, Any], list[Any]]:
    """The next PATCH_SESSION: client, what is set, what is deleted."""
    packet = await link.next(commands.PATCH_SESSION)
    return packet[1], php.loads_array(packet[3]), json.loads(packet[4])


def test_only_what_a_handler_changed_is_sent(run: Runner) -> None:
    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        if message == "change":
            client.session["new"] = {"deep": [1, 2]}
            client.session["list"].append(3)
            del client.session["gone"]
        elif message == "assign":
            client.session = {"only": 1}
        elif message == "read":
            assert client.session["kept"] == 0.1
        client.send("done")

    async def main() -> None:
        stored = b'a:3:{s:4:"kept";d:0.10000000000000001;s:4:"list";a:2:{i:0;i:1;i:1;i:2;}s:4:"gone";i:1;}'
        async with serving(with_handler(handler)) as (_, _, link):
            link.message(1, "read", ext=stored)
            link.message(1, "nothing", ext=stored)
            link.message(1, "change", ext=stored)
            assert await patch(link) == (1, {"new": {"deep": [1, 2]}, "list": [1, 2, 3]}, ["gone"])
            link.message(2, "assign", ext=stored)
            assert await patch(link) == (2, {"only": 1}, ["kept", "list", "gone"])
            await link.progress(4, 4)
            assert not [packet for packet in link.packets if packet[0] == commands.PATCH_SESSION]

    run(main())


def test_a_php_gateway_gets_all_of_a_session_and_nothing_clears_it(run: Runner) -> None:
    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        if message == "clear":
            client.session.clear()
        else:
            client.session["new"] = 1

    async def main() -> None:
        async with serving(with_handler(handler), is_tidegate=False) as (_, _, link):
            link.message(1, "set", ext=php.dumps({"kept": 1}))
            packet = await link.next(commands.SET_SESSION)
            assert packet[1:5] == (1, commands.SCALAR, php.dumps({"kept": 1, "new": 1}), b"")
            link.message(1, "clear", ext=packet[3])
            assert (await link.next(commands.SET_SESSION))[3] == b""

    run(main())


def test_a_handler_sees_what_this_worker_saved_though_the_event_left_before(run: Runner) -> None:
    seen: list[Any] = []

    async def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        seen.append(dict(client.session))
        client.session["n"] = client.session.get("n", 0) + 1
        if message == "waits":
            await asyncio.sleep(0.001)

    async def main() -> None:
        async with serving(with_handler(handler)) as (_, gateway, link):
            stored = b""
            gateway.passed_over.add(commands.PROGRESS)
            link.message(1, "a")
            link.message(1, "waits")
            link.message(1, "c", ext=php.dumps({"outside": 1}))
            for number in (1, 2, 3):
                packet = await link.next(commands.PATCH_SESSION)
                assert php.loads_array(packet[3]) == {"n": number}
                stored = session.Patcher().patch(stored, packet[3], packet[4])
            assert seen == [{}, {"n": 1}, {"outside": 1, "n": 2}]
            # Once the gateway is known to have them, what it says holds.
            await until(lambda: sum(packet[0] == commands.QUERY for packet in gateway.received) >= 1)
            await until(lambda: len(seen) == 3)
            await asyncio.sleep(0.05)
            link.message(1, "d", ext=php.dumps({"n": 50}))
            await link.next(commands.PATCH_SESSION)
            assert seen[3] == {"n": 50}

    run(main())


def test_a_handler_sees_a_php_gateways_session_as_it_was_saved(run: Runner) -> None:
    seen: list[Any] = []

    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        seen.append(dict(client.session))
        if message == "count":
            client.session["n"] = client.session.get("n", 0) + 1

    async def main() -> None:
        async with serving(with_handler(handler), is_tidegate=False) as (_, _, link):
            for message in ("count", "count", "look"):
                link.message(1, message)
            for number in (1, 2):
                assert (await link.next(commands.SET_SESSION))[3] == php.dumps({"n": number})
            link.message(1, "look", ext=php.dumps({"n": 1, "outside": 1}))
            link.message(1, "look", ext=php.dumps({"n": 9}))
            await until(lambda: len(seen) == 5)
            assert seen == [{}, {"n": 1}, {"n": 2}, {"n": 2, "outside": 1}, {"n": 9}]

    run(main())


@pytest.mark.parametrize("is_tidegate", [True, False])
def test_a_session_changed_by_the_push_api_in_a_handler_shows_there_and_is_kept(run: Runner, is_tidegate: bool) -> None:
    seen: list[Any] = []

    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        if message == "go":
            client.session["mine"] = 1
            worker.update_session(client.id, {"api": {"b": 2}})
            seen.append(dict(client.session))
            client.session["more"] = 1
        elif message == "replace":
            worker.set_session(client.id, {"all": 1})
            seen.append(dict(client.session))
        else:
            seen.append(dict(client.session))

    async def main() -> None:
        async with serving(with_handler(handler), is_tidegate=is_tidegate) as (_, _, link):
            before = php.dumps({"api": {"a": 1}})
            link.message(1, "go", ext=before)
            link.message(1, "look", ext=before)
            update = await link.next(commands.UPDATE_SESSION)
            stored = session.merge(before, update[3])
            saved = await link.next(commands.PATCH_SESSION, commands.SET_SESSION)
            stored = session.Patcher().patch(stored, saved[3], saved[4]) if is_tidegate else saved[3]
            expected = {"api": {"a": 1, "b": 2}, "mine": 1, "more": 1}
            assert php.loads_array(stored) == expected
            link.message(1, "replace", ext=stored)
            link.message(1, "look", ext=stored)
            assert (await link.next(commands.SET_SESSION))[3] == php.dumps({"all": 1})
            await until(lambda: len(seen) == 4)
            assert seen == [{"api": {"a": 1, "b": 2}, "mine": 1}, expected, {"all": 1}, {"all": 1}]

    run(main())


def test_what_cannot_be_serialized_is_logged_with_the_client_and_not_saved(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        client.session["bad"] = {1, 2}
        client.send("goes on")

    async def main() -> None:
        async with serving(with_handler(handler)) as (worker, gateway, link):
            link.message(1, "x")
            assert await link.texts(1) == ["goes on"]
            await link.progress(1, 1)
            assert extra(worker, "sessions_unsaved") == 1
            (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert gateway.client_id(1) in record.message
            assert "set can't be serialized" in record.message
            assert not any(packet[0] == commands.PATCH_SESSION for packet in gateway.received)

    run(main())


def test_a_session_with_an_object_is_an_error_to_read_and_is_never_saved_over(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        if message == "read":
            client.session["x"] = 1
        elif message == "assign":
            client.session = {"x": 1}
        client.send(message)

    async def main() -> None:
        async with serving(with_handler(handler)) as (worker, gateway, link):
            for message in ("read", "assign", "neither"):
                link.message(1, message, ext=OBJECT)
            assert await link.texts(2) == ["assign", "neither"]
            await link.progress(3, 3)
            assert worker.snapshot()["handler_errors"] == 1
            assert extra(worker, "sessions_unsaved") == 1
            assert not any(packet[0] == commands.PATCH_SESSION for packet in gateway.received)
            failed = next(record for record in caplog.records if record.exc_info)
            assert failed.exc_info is not None
            assert f"the session of client {gateway.client_id(1)} can't be read" in str(failed.exc_info[1])

    run(main())


def test_a_handler_that_fails_saves_nothing_and_one_for_the_end_does_not_either(run: Runner) -> None:
    def create(place: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=place)

        @worker.on_message
        def receive(client: Client, message: str) -> None:
            client.session["half"] = 1
            raise LookupError

        @worker.on_close
        def leave(client: Client) -> None:
            client.session["late"] = client.session["name"]

        return worker

    async def main() -> None:
        async with serving(create) as (worker, gateway, link):
            link.message(1, "x", ext=php.dumps({"name": "Ann"}))
            link.tell(commands.ON_CLOSE, 1, ext=php.dumps({"name": "Ann"}))
            await link.progress(2, 2)
            assert worker.snapshot()["handler_errors"] == 1
            assert not any(packet[0] == commands.PATCH_SESSION for packet in gateway.received)

    run(main())


def test_outside_of_its_handlers_a_session_is_a_copy(run: Runner) -> None:
    clients: list[Client] = []

    def handler(worker: BusinessWorker, client: Client, message: str) -> None:
        clients.append(client)

    async def main() -> None:
        async with serving(with_handler(handler)) as (_, _, link):
            link.message(1, "x", ext=php.dumps({"a": 1}))
            await link.progress(1, 1)
            (client,) = clients
            client.session["a"] = 2
            assert client.session == {"a": 1}
            with pytest.raises(RuntimeError, match="update_session"):
                client.session = {}

    run(main())

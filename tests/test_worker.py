"""What a worker is, starts with and ends with. Its connections are tested in tests/net."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients import client_frame
from tests.net.support import LOOPS, Client, Runner, WebSocketClient, serving, stats, turns, until
from tidegate import Connection, Worker
from tidegate.errors import ConfigurationError


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that is never called."""


@pytest.mark.parametrize(
    ("address", "options", "complaint"),
    [
        ("http://127.0.0.1:0", {}, "an http:// address needs an ASGI app: app="),
        ("text://127.0.0.1:0", {"app": app}, "app= needs an http:// address"),
        ("text://127.0.0.1:0", {"protocol": dict}, "protocol= needs a tcp:// or unix:// address"),
        ("udp://127.0.0.1:0", {"protocol": dict}, "protocol= needs a tcp:// or unix:// address"),
        ("nowhere", {}, "has no protocol"),
    ],
)
def test_what_does_not_go_together_is_refused_at_once(address: str, options: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Worker(address, **options)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("websocket://0.0.0.0:7272", "websocket-7272"),
        ("unix:///run/app.sock", "unix-run-app.sock"),
        (None, "worker"),
    ],
)
def test_a_worker_without_a_name_is_named_after_its_address(address: str | None, name: str) -> None:
    assert Worker(address).name == name
    assert Worker(address, name="chat").name == "chat"


def test_callbacks_are_set_by_decorating_or_assigning(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        seen: list[str] = []

        @worker.on_connect
        def connect(connection: Connection) -> None:
            seen.append("decorated")

        worker.on_message = lambda connection, line: seen.append("replaced")
        worker.on_message = lambda connection, line: seen.append(line)
        worker.on_close = lambda connection: seen.append("never")
        worker.on_close = None
        assert callable(connect)
        with pytest.raises(TypeError, match="on_message takes a function, not str"):
            worker.on_message = "echo"  # type: ignore[assignment]
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"assigned\n")
                await until(lambda: len(seen) == 2)
            await until(lambda: not worker.connections)
        assert seen == ["decorated", "assigned"]

    run(main())


def test_any_attribute_may_be_set_on_a_worker_and_found_in_its_callbacks(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")

        @worker.on_worker_start
        async def start(worker: Worker) -> None:
            await asyncio.sleep(0)
            worker.greeting = "hello"

        worker.on_connect = lambda connection: connection.send(connection.worker.greeting)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                assert await client.read_line() == "hello"

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_worker_starts_before_its_connections_and_says_when_it_stops(run: Runner, kind: str) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        events: list[str] = []

        def note(name: str) -> Any:
            async def later(*_: Any) -> None:
                await turns()
                events.append(name)

            return later if kind == "async def" else lambda *_: events.append(name)

        worker.on_worker_start = note("start")
        worker.on_connect = note("connect")
        worker.on_worker_stop = note("stop")
        worker.on_worker_reload = note("reload")
        worker.on_close = note("close")
        await worker.listen()
        assert worker.address is not None
        with await Client.connect(worker.address.port) as client:
            await until(lambda: "connect" in events)
            await worker.reloading()
            stopping = asyncio.create_task(worker.stop())
            await client.read_to_end()
        await stopping
        assert events == ["start", "connect", "reload", "stop", "close"]

    run(main())


def test_a_worker_without_an_address_only_works(run: Runner) -> None:
    async def main() -> None:
        worker = Worker(name="clock")
        events: list[str] = []
        worker.on_worker_start = lambda worker: events.append("start")
        worker.on_worker_stop = lambda worker: events.append("stop")
        await worker.listen()
        assert stats(worker)["listen"] == ""
        await worker.stop()
        await worker.stop()  # which is no more than a word
        assert events == ["start", "stop"]

    run(main())


def test_a_hook_that_fails_at_the_stop_leaves_no_connection_open(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")

        @worker.on_worker_stop
        def fail(worker: Worker) -> None:
            raise RuntimeError("a bad goodbye")

        async with serving(worker) as port:
            client = await Client.connect(port)
            await until(lambda: worker.connections)
        with client:
            assert await client.read_to_end() == b""

    run(main())
    assert "a bad goodbye" in caplog.text


def test_on_worker_stop_can_still_say_something_to_every_client(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")

        @worker.on_worker_stop
        def goodbye(worker: Worker) -> None:
            for connection in worker.connections.values():
                connection.send("see you")

        async with serving(worker) as port:
            client = await WebSocketClient.open(port)
        with client:
            assert await client.read_text() == "see you"
            assert await client.read_close() == (1001, "the server stops")

    run(main())


@pytest.mark.parametrize("graceful", [True, False])
def test_a_graceful_stop_lets_handlers_finish_and_another_does_not(run: Runner, graceful: bool) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        events: list[str] = []
        go_on = asyncio.Event()

        @worker.on_message
        async def work(connection: Connection, line: str) -> None:
            try:
                await go_on.wait()
                connection.send("done")
            except asyncio.CancelledError:
                events.append("cancelled")
                raise

        worker.on_close = lambda connection: events.append("close")
        await worker.listen()
        assert worker.address is not None
        with await Client.connect(worker.address.port) as client:
            await client.send(b"work\n")
            await until(lambda: stats(worker)["messages_in"] == 1)
            stopping = asyncio.create_task(worker.stop(graceful=graceful))
            await turns()
            if graceful:
                go_on.set()
            assert await client.read_to_end() == (b"done\n" if graceful else b"")
        await stopping
        assert events == (["close"] if graceful else ["cancelled", "close"])

    run(main())


def test_a_stop_in_haste_begins_on_nothing_that_waits(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        begun: list[str] = []
        counted: list[int] = []

        @worker.on_message
        async def wait(_: Connection, message: str) -> None:
            begun.append(message)
            await asyncio.Event().wait()

        @worker.on_close
        def note(connection: Connection) -> None:
            begun.append("closed")
            counted.append(connection.endpoint.stats.dropped_messages)

        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"1\n2\n3\n")
                await until(lambda: begun)
                await worker.stop()
        assert begun == ["1", "closed"]
        assert counted == [2]

    run(main())


def test_on_close_is_called_for_those_who_do_not_leave_by_themselves(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        closed: list[int] = []

        @worker.on_close
        async def close(connection: Connection) -> None:
            await turns(10)
            closed.append(connection.id)

        await worker.listen()
        assert worker.address is not None
        with await WebSocketClient.open(worker.address.port) as client:
            await until(lambda: worker.connections)
            await asyncio.gather(worker.stop(seconds=0.05), worker.stop())
            assert len(closed) == 1
            await client.read_close()

    run(main())


def test_what_was_counted_is_told(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", name="chat")
        worker.on_message = lambda connection, message: [connection.send(message) for _ in range(2)]
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                for _ in range(3):
                    await client.send(client_frame(0x81, b"x") + client_frame(0x89, b""))
                for _ in range(9):
                    await client.read_frame()
                counted = stats(worker)
                assert counted["name"] == "chat"
                assert counted["listen"] == f"websocket://127.0.0.1:{port}"
                assert (counted["connections"], counted["accepted"]) == (1, 1)
                assert (counted["messages_in"], counted["messages_out"]) == (3, 6)
                (row,) = worker.connection_rows(10)
                assert row["remote"] == f"127.0.0.1:{client.port}"
                assert (row["worker"], row["idle"], row["queued"]) == ("chat", 0, 0)

    run(main())

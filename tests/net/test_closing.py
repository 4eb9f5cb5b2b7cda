"""How connections end: by close, by destroy, by the peer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients import client_frame
from tests.net.support import Client, Runner, WebSocketClient, close_frame, serving, stats, turns, until
from tidegate import Connection, Worker


async def only(worker: Worker) -> Connection:
    await until(lambda: worker.connections)
    (connection,) = worker.connections.values()
    return connection


def test_close_sends_what_is_queued_then_the_last_message_then_the_close_frame(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        closed: list[Connection] = []
        worker.on_close = closed.append
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                connection = await only(worker)
                connection.send("1")
                connection.send("2")
                connection.close("3", code=4000, reason="that is all")
                connection.close("never")
                assert not connection.is_open
                assert not connection.send("never")
                assert [await client.read_text() for _ in range(3)] == ["1", "2", "3"]
                assert await client.read_close() == (4000, "that is all")
                assert closed == []  # the peer has not answered
                await client.send(close_frame(4000))
                assert await client.read_to_end() == b""
                await until(lambda: closed == [connection])

    run(main())


@pytest.mark.usefixtures("hurry")
def test_close_gives_up_where_the_client_does_not_answer(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", close_timeout=1)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                (await only(worker)).close()
                await client.read_close()
                assert await client.read_to_end() == b""
                await until(lambda: not worker.connections)

    run(main())


@pytest.mark.usefixtures("hurry")
def test_a_client_that_was_sent_everything_is_not_waited_for_long(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", close_timeout=1_000_000)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                (await only(worker)).close("bye")
                assert await client.read_to_end() == b"bye\n"
                await until(lambda: not worker.connections)  # though the client never hung up

    run(main())


def test_messages_that_come_after_close_are_not_handled_and_are_counted(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        seen: list[str] = []

        @worker.on_message
        def handle(connection: Connection, message: str) -> None:
            seen.append(message)
            connection.close()

        frames = b"".join(client_frame(0x81, letter) for letter in (b"a", b"b", b"c"))
        async with serving(worker) as port:
            with await WebSocketClient.open(port, frames) as client:
                await client.read_close()
                await client.send(client_frame(0x81, b"d") + close_frame())
                await until(lambda: not worker.connections)
                assert stats(worker)["dropped_messages"] == 3
        assert seen == ["a"]

    run(main())


def test_destroy_sends_nothing_and_waits_for_nobody(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        closed: list[Connection] = []
        worker.on_close = closed.append
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                connection = await only(worker)
                connection.send("never")
                connection.destroy()
                connection.destroy()
                assert not connection.is_open
                assert closed == []  # not in the middle of whoever called
                await until(lambda: closed == [connection])
                assert await client.read_to_end() == b""
                assert stats(worker)["send_failures"] == 1

    run(main())


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
def test_a_code_that_may_not_be_sent_is_a_value_error(run: Runner, code: int) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                connection = await only(worker)
                with pytest.raises(ValueError, match="no close code that may be sent"):
                    connection.close(code=code)
                assert connection.is_open
                connection.close(code=3000)
                assert await client.read_close() == (3000, "")

    run(main())


def test_a_reason_is_cut_to_what_a_close_frame_holds(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        worker.on_connect = lambda connection: connection.close(reason="\N{EURO SIGN}" * 100)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                assert await client.read_close() == (1000, "\N{EURO SIGN}" * 41)

    run(main())


@pytest.mark.parametrize(("sent", "answer"), [(close_frame(4321, "bye"), b"\x10\xe1"), (client_frame(0x88, b""), b"")])
def test_a_close_frame_is_answered_with_its_code(run: Runner, sent: bytes, answer: bytes) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                await client.send(sent + b"and what comes behind it is not read")
                assert await client.read_frame() == (0x88, answer)
                assert await client.read_to_end() == b""

    run(main())


def test_a_peer_that_floods_after_its_close_frame_fills_nothing(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        go_on = asyncio.Event()

        @worker.on_message
        async def handle(connection: Connection, message: str) -> None:
            await go_on.wait()
            connection.send("answer")

        async with serving(worker) as port:
            with await WebSocketClient.open(port, client_frame(0x81, b"question"), close_frame()) as client:
                connection = await only(worker)
                for _ in range(50):
                    await client.send(b"x" * 1000)
                    await turns()
                mailbox = connection._mailbox
                assert mailbox is not None
                assert len(mailbox) <= 2
                go_on.set()
                assert await client.read_text() == "answer"
                assert await client.read_close() == (1000, "")

    run(main())


def test_close_of_a_line_protocol_ends_the_stream_after_the_last_line(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        worker.on_message = lambda connection, line: connection.close(f"you said {line}")
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                # What the server has not read must not turn its goodbye into a reset.
                await client.send(b"quit\n" + b"more\n" * 10_000)
                assert await client.read_to_end() == b"you said quit\n"
                assert not client.was_reset
            await until(lambda: not worker.connections)

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_client_that_shuts_its_sending_side_gets_its_answers(run: Runner, kind: str) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        events: list[str] = []

        def answer(connection: Connection, line: str) -> None:
            connection.send(line.upper())

        async def think(connection: Connection, line: str) -> None:
            await turns()
            connection.send(line.upper())

        worker.on_message = answer if kind == "def" else think
        worker.on_close = lambda connection: events.append("close")
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"one\ntwo\nthree\n")
                client.shut()
                assert await client.read_to_end() == b"ONE\nTWO\nTHREE\n"
                await until(lambda: events == ["close"])

    run(main())


@pytest.mark.parametrize("scheme", ["websocket", "text"])
@pytest.mark.parametrize("end", [Client.reset, Client.shut])
def test_messages_that_came_before_the_client_went_are_handled(run: Runner, scheme: str, end: Any) -> None:
    async def main() -> None:
        worker = Worker(f"{scheme}://127.0.0.1:0")
        seen: list[str] = []
        go_on = asyncio.Event()

        @worker.on_message
        async def handle(connection: Connection, message: str) -> None:
            await go_on.wait()
            seen.append(message)

        worker.on_close = lambda connection: seen.append("close")
        async with serving(worker) as port:
            client = await (WebSocketClient.open(port) if scheme == "websocket" else Client.connect(port))
            for number in range(5):
                text = str(number).encode()
                await client.send(client_frame(0x81, text) if scheme == "websocket" else text + b"\n")
            await until(lambda: stats(worker)["messages_in"] == 5)
            end(client)
            await turns(20)
            assert seen == []
            go_on.set()
            await until(lambda: "close" in seen)
            client.sock.close()
        assert seen == ["0", "1", "2", "3", "4", "close"]

    run(main())


def test_connections_may_be_ended_while_going_through_them(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        closed: list[int] = []
        worker.on_close = lambda connection: closed.append(connection.id)
        async with serving(worker) as port:
            clients = [await Client.connect(port) for _ in range(6)]
            await until(lambda: len(worker.connections) == 6)
            for number, connection in worker.connections.items():
                if number % 2:
                    connection.destroy()
                else:
                    connection.close("bye")
            for client in clients:
                await client.read_to_end()
                client.sock.close()
            await until(lambda: len(closed) == 6)
            assert worker.connections == {}

    run(main())


def test_each_connection_is_closed_once_however_it_ends(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        closed: list[int] = []

        @worker.on_message
        def handle(connection: Connection, line: str) -> None:
            connection.close("bye")
            if line == "both":
                connection.destroy()

        @worker.on_close
        def leave(connection: Connection) -> None:
            closed.append(connection.id)
            connection.close()
            connection.destroy()
            assert not connection.send("never")

        async with serving(worker) as port:
            for line in (b"close\n", b"both\n"):
                with await Client.connect(port) as client:
                    await client.send(line)
                    client.reset()
            await until(lambda: len(closed) == 2)
            await turns(10)
            assert len(closed) == len(set(closed)) == 2

    run(main())

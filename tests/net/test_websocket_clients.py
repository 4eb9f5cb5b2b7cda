"""WebSocket end to end, with the clients of another library."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.typing import Subprotocol

from tests.clients import client_frame
from tests.net.support import Runner, WebSocketClient, serving, stats, until
from tidegate import Connection, Worker
from tidegate.protocols import WebSocket, deflate

MESSAGES = ("", "text", b"", b"\x00\xff binary", "\N{SNOWMAN} and \N{MUSICAL SYMBOL G CLEF}", "x" * 125, "x" * 126)
LARGE = ("long " * 30_000, bytes(range(256)) * 3000)


def echoing(**options: object) -> Worker:
    worker = Worker("websocket://127.0.0.1:0", **options)  # type: ignore[arg-type]
    worker.on_message = lambda connection, message: connection.send(message)
    return worker


@pytest.mark.parametrize("compression", [False, True])
def test_messages_of_every_kind_come_back(run: Runner, compression: bool) -> None:
    async def main() -> None:
        async with serving(echoing(compression=compression)) as port, connect(f"ws://127.0.0.1:{port}") as client:
            offered = "Sec-WebSocket-Extensions" in response_headers(client)
            assert offered == compression
            for message in MESSAGES + LARGE:
                await client.send(message)
                assert await client.recv() == message
            for message in MESSAGES:
                await client.send(message)
            assert [await client.recv() for _ in MESSAGES] == list(MESSAGES)

    run(main())


def response_headers(client: ClientConnection) -> dict[str, str]:
    assert client.response is not None
    return dict(client.response.headers.raw_items())


@pytest.mark.parametrize("compression", [False, True])
def test_a_fragmented_message_is_one_message(run: Runner, compression: bool) -> None:
    async def main() -> None:
        async with serving(echoing(compression=compression)) as port, connect(f"ws://127.0.0.1:{port}") as client:
            parts = ["one ", "", "two " * 1000, "thr\N{LATIN SMALL LETTER E WITH DIAERESIS}e"]
            await client.send(parts)
            assert await client.recv() == "".join(parts)
            await client.send([b"a", b"b"])
            assert await client.recv() == b"ab"

    run(main())


def test_pings_are_answered_in_both_directions(run: Runner) -> None:
    async def main() -> None:
        worker = echoing()
        async with serving(worker) as port:
            async with connect(f"ws://127.0.0.1:{port}", ping_interval=None) as client:
                await (await client.ping(b"are you there?"))
                await client.send("still here")
                assert await client.recv() == "still here"
            with await WebSocketClient.open(port) as raw:
                await until(lambda: len(worker.connections) == 1)
                (connection,) = worker.connections.values()
                connection.ping(b"and you?")
                assert await raw.read_frame() == (0x89, b"and you?")
                await raw.send(client_frame(0x89, b"yes"))
                assert await raw.read_frame() == (0x8A, b"yes")
                with pytest.raises(ValueError, match="up to 125 bytes"):
                    connection.ping(b"x" * 126)
            assert stats(worker)["messages_out"] == 1  # control frames are none

    run(main())


def test_the_first_subprotocol_of_the_client_that_is_spoken_is_chosen(run: Runner) -> None:
    async def main() -> None:
        async with serving(echoing(subprotocols=["chat", "json"])) as port:
            offers = [Subprotocol("xml"), Subprotocol("json"), Subprotocol("chat")]
            async with connect(f"ws://127.0.0.1:{port}", subprotocols=offers) as client:
                assert client.subprotocol == "json"
            async with connect(f"ws://127.0.0.1:{port}", subprotocols=[Subprotocol("xml")]) as client:
                assert client.subprotocol is None

    run(main())


def test_a_close_of_the_client_is_echoed_and_ends_the_connection(run: Runner) -> None:
    async def main() -> None:
        worker = echoing()
        closed: list[Connection] = []
        worker.on_close = closed.append
        async with serving(worker) as port:
            client = await connect(f"ws://127.0.0.1:{port}")
            await client.close(3001, "enough")
            assert client.close_code == 3001
            await until(lambda: len(closed) == 1)
            assert worker.connections == {}

    run(main())


def test_a_close_of_the_server_tells_code_and_reason_after_the_last_message(run: Runner) -> None:
    async def main() -> None:
        worker = echoing()

        @worker.on_connect
        def refuse(connection: Connection) -> None:
            connection.send("first")
            connection.close("last", code=4001, reason="come back later")

        async with serving(worker) as port, connect(f"ws://127.0.0.1:{port}") as client:
            assert [await client.recv(), await client.recv()] == ["first", "last"]
            with pytest.raises(ConnectionClosedError, match="come back later"):
                await client.recv()
            assert client.close_code == 4001

    run(main())


def test_a_worker_that_stops_says_1001(run: Runner) -> None:
    async def main() -> None:
        worker = echoing()
        async with serving(worker) as port:
            client = await connect(f"ws://127.0.0.1:{port}")
            await until(lambda: worker.connections)
        with pytest.raises(ConnectionClosedOK):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1001, "the server stops")

    run(main())


@pytest.mark.parametrize("compression", [False, True])
def test_a_broadcast_is_encoded_and_compressed_once(run: Runner, compression: bool) -> None:
    async def main() -> None:
        worker = echoing(compression=compression)
        message = "the same for everybody " * 20
        async with serving(worker) as port:
            clients = [await connect(f"ws://127.0.0.1:{port}") for _ in range(5)]
            await until(lambda: len(worker.connections) == 5)
            with (
                patch.object(WebSocket, "encode", autospec=True, side_effect=WebSocket.encode) as encode,
                patch.object(deflate, "deflate", side_effect=deflate.deflate) as compress,
            ):
                for connection in worker.connections.values():
                    connection.send(message)
                assert [await client.recv() for client in clients] == [message] * 5
            assert encode.call_count == 1
            assert compress.call_count == compression
            await asyncio.gather(*(client.close() for client in clients))

    run(main())


def test_clients_with_and_without_compression_get_the_same_message(run: Runner) -> None:
    async def main() -> None:
        worker = echoing(compression=True)
        message = "the same for everybody " * 20
        async with (
            serving(worker) as port,
            connect(f"ws://127.0.0.1:{port}") as compressed,
            connect(f"ws://127.0.0.1:{port}", compression=None) as plain,
        ):
            await until(lambda: len(worker.connections) == 2)
            for _ in range(2):
                for connection in worker.connections.values():
                    connection.send(message)
                assert await compressed.recv() == await plain.recv() == message

    run(main())


def test_a_message_over_the_limit_is_refused_with_1009(run: Runner) -> None:
    async def main() -> None:
        worker = echoing(max_message_size=1000)
        errors: list[Exception] = []
        worker.on_error = lambda connection, error: errors.append(error)
        async with serving(worker) as port:
            async with connect(f"ws://127.0.0.1:{port}") as client:
                await client.send("x" * 1000)
                assert await client.recv() == "x" * 1000
                await client.send("x" * 1001)
                with pytest.raises(ConnectionClosedError):
                    await client.recv()
                assert client.close_code == 1009
            assert [str(error) for error in errors] == ["message over 1000 bytes"]
            assert stats(worker)["protocol_errors"] == 1

    run(main())

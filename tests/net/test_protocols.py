"""The stream protocols on real connections: what they give, and what they refuse."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.clients import client_frame
from tests.net.support import Client, Runner, WebSocketClient, serving, stats, turns, until
from tidegate import Connection, Worker
from tidegate.errors import ProtocolError
from tidegate.protocols import Frame, Raw, Text, WebSocket


def frame(body: bytes) -> bytes:
    return (4 + len(body)).to_bytes(4) + body


@pytest.mark.parametrize(
    ("scheme", "sent", "seen", "answer"),
    [
        ("text", b"line\r\n", "line", b"line\n"),
        ("frame", frame(b"body"), b"body", frame(b"body")),
        ("tcp", b"bytes", b"bytes", b"bytes"),
    ],
)
def test_each_protocol_gives_its_kind_of_message(
    run: Runner, scheme: str, sent: bytes, seen: str | bytes, answer: bytes
) -> None:
    async def main(encoding: str | None, expected: str | bytes) -> None:
        worker = Worker(f"{scheme}://127.0.0.1:0", encoding=encoding)
        messages: list[Any] = []

        @worker.on_message
        def echo(connection: Connection, message: Any) -> None:
            messages.append(message)
            connection.send(message)

        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(sent)
                assert await client.read(len(answer)) == answer
        assert messages == [expected]

    run(main(None, seen))
    run(main("utf-8", seen.decode() if isinstance(seen, bytes) else seen))


def test_a_line_split_over_ten_packets_is_one_and_ten_in_one_packet_are_ten(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        worker.on_message = lambda connection, line: connection.send(line[::-1])
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                for byte in b"split line":
                    await client.send(bytes((byte,)))
                    await turns()
                await client.send(b"\n" + b"".join(b"%d\n" % number for number in range(10, 20)))
                assert await client.read_line() == "enil tilps"
                assert [await client.read_line() for _ in range(10)] == [str(n)[::-1] for n in range(10, 20)]

    run(main())


def test_a_line_that_looks_like_an_http_request_ends_the_connection(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        lines: list[str] = []
        errors: list[Exception] = []
        worker.on_message = lambda connection, line: lines.append(line)
        worker.on_error = lambda connection, error: errors.append(error)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"before\nPOST /push HTTP/1.1\r\nHost: localhost\r\n")
                await client.send(b'\r\n{"uid": "victim"}\n')
                assert await client.read_to_end() == b""
            await until(lambda: not worker.connections)
            assert lines == ["before"]
            assert [str(error) for error in errors] == ["a line that looks like an HTTP request"]
            assert stats(worker)["protocol_errors"] == 1

    run(main())


@pytest.mark.parametrize(
    ("scheme", "sent"),
    [
        ("text", b"fine\n" + b"x" * 101),
        ("text", b"fine\n" + b"x" * 101 + b"\n"),
        ("frame", frame(b"fine") + frame(b"x" * 101)),
        ("frame", frame(b"fine") + b"\xff\xff\xff\xff"),
        ("websocket", client_frame(0x82, b"fine") + client_frame(0x82, b"x" * 101)),
        ("websocket", client_frame(0x82, b"fine") + client_frame(0x02, b"x" * 60) + client_frame(0x80, b"x" * 60)),
    ],
)
def test_a_message_over_the_limit_closes_the_connection_and_says_why(run: Runner, scheme: str, sent: bytes) -> None:
    async def main() -> None:
        worker = Worker(f"{scheme}://127.0.0.1:0", max_message_size=100)
        messages: list[Any] = []
        errors: list[ProtocolError] = []
        worker.on_message = lambda connection, message: messages.append(message)
        worker.on_error = lambda connection, error: errors.append(error)
        async with serving(worker) as port:
            client = await (WebSocketClient.open(port) if scheme == "websocket" else Client.connect(port))
            with client:
                await client.send(sent + b"and more")
                if isinstance(client, WebSocketClient):
                    assert await client.read_close() == (1009, "message over 100 bytes")
                assert await client.read_to_end() == b""
            await until(lambda: not worker.connections)
        assert messages in ([b"fine"], ["fine"])
        assert [(error.code, error.reason) for error in errors] == [(1009, "message over 100 bytes")]

    run(main())


def test_a_close_in_on_error_keeps_its_own_code(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        worker.on_error = lambda connection, error: connection.close("look what you did", code=4002)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                await client.send(client_frame(0x8F, b""))
                assert await client.read_text() == "look what you did"
                assert await client.read_close() == (4002, "")

    run(main())


class Lengths:
    """A user's own protocol: a byte of length, then so many bytes."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        messages = []
        while self._data and len(self._data) > self._data[0]:
            length = self._data[0]
            if length == 255:
                raise ValueError("255 is forbidden")
            messages.append(self._data[1 : 1 + length])
            self._data = self._data[1 + length :]
        return messages

    def encode(self, message: bytes) -> bytes:
        return bytes((len(message),)) + message


@pytest.mark.parametrize("make", [Lengths, lambda: Lengths()])
def test_a_class_of_the_users_own_is_a_protocol(run: Runner, make: Any) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", protocol=make)
        errors: list[Exception] = []
        worker.on_message = lambda connection, message: connection.send(message.upper())
        worker.on_error = lambda connection, error: errors.append(error)
        async with serving(worker) as port:
            with await Client.connect(port) as first, await Client.connect(port) as second:
                await first.send(b"\x03ab")
                await second.send(b"\x02xy\x01z")
                assert await second.read(5) == b"\x02XY\x01Z"
                await second.send(b"\xff" + b"z" * 255)
                assert await second.read_to_end() == b""
                await first.send(b"c")
                assert await first.read(4) == b"\x03ABC"
            assert [str(error) for error in errors] == ["ValueError: 255 is forbidden"]

    run(main())


@pytest.mark.parametrize(
    ("protocol", "sent", "answer"),
    [(Text, b"line\n", b"line\n"), (Frame, frame(b"body"), frame(b"body")), (Raw, b"bytes", b"bytes")],
)
def test_a_built_in_protocol_may_be_named_for_any_stream(
    run: Runner, protocol: Any, sent: bytes, answer: bytes
) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", protocol=protocol)
        worker.on_message = lambda connection, message: connection.send(message)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(sent)
                assert await client.read(len(answer)) == answer

    run(main())


def test_websocket_may_be_named_too(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", protocol=WebSocket)
        worker.on_message = lambda connection, message: connection.send(message)
        async with serving(worker) as port:
            with await WebSocketClient.open(port, client_frame(0x81, b"hello")) as client:
                assert await client.read_text() == "hello"

    run(main())


def test_what_a_handler_keeps_is_not_changed_by_later_reads(run: Runner) -> None:
    """All connections read into one buffer."""

    class Keeping:
        def feed(self, data: bytes) -> list[bytes]:
            return [data]

        def encode(self, message: bytes) -> bytes:
            return message

    async def main(**options: Any) -> None:
        worker = Worker("tcp://127.0.0.1:0", **options)
        kept: dict[int, list[bytes]] = {}
        worker.on_connect = lambda connection: kept.setdefault(connection.remote_port, [])
        worker.on_message = lambda connection, data: kept[connection.remote_port].append(data)
        async with serving(worker) as port:
            clients = [await Client.connect(port) for _ in range(3)]
            sent = {client.port: os.urandom(3000) for client in clients}
            for start in range(0, 3000, 500):
                for client in clients:
                    await client.send(sent[client.port][start : start + 500])
                await turns()
            await until(lambda: sum(map(len, (b for parts in kept.values() for b in parts))) == 9000)
            assert {number: b"".join(parts) for number, parts in kept.items()} == sent
            for client in clients:
                client.sock.close()
            await until(lambda: not worker.connections)

    run(main())
    run(main(protocol=Keeping))

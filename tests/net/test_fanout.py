"""One message to many connections at once."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest

from tests.net.support import Client, Runner, WebSocketClient, serving, stats, until
from tidegate import Connection, Worker
from tidegate.net.fanout import fan_out
from tidegate.protocols import WebSocket

DEFLATE = ("Sec-WebSocket-Extensions: permessage-deflate",)


def test_a_broadcast_reaches_all_but_those_excluded_in_order(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        async with serving(worker) as port:
            with ExitStack() as stack:
                clients = [stack.enter_context(await Client.connect(port)) for _ in range(3)]
                await until(lambda: len(worker.connections) == 3)
                first = min(worker.connections)
                worker.connections[first].send("alone")
                assert worker.broadcast("all") == 3
                assert worker.broadcast(bytearray(b"others"), exclude=[first]) == 2
                assert worker.broadcast(b"end") == 3
                texts = [[await client.read_line() for _ in range(3)] for client in clients]
                assert sorted(texts) == [["all", "others", "end"], ["all", "others", "end"], ["alone", "all", "end"]]
                assert stats(worker)["messages_out"] == 9

    run(main())


def test_it_is_encoded_once_for_each_kind_however_they_are_mixed(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = WebSocket.encode

    def counting(codec: WebSocket, message: str | bytes) -> bytes:
        encoded.append(codec.variant)
        return encode(codec, message)

    monkeypatch.setattr(WebSocket, "encode", counting)

    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", compression=True)
        async with serving(worker) as port:
            with ExitStack() as stack:
                clients = [
                    stack.enter_context(await WebSocketClient.open(port, headers=DEFLATE if number % 2 else ()))
                    for number in range(6)
                ]
                await until(lambda: len(worker.connections) == 6)
                assert worker.broadcast("x" * 1000) == 6
                frames = [await client.read_frame() for client in clients]
                assert [first for first, _ in frames] == [0x81, 0xC1] * 3
                assert sorted(encoded) == [0, 15]

    run(main())


def test_a_protocol_of_the_users_own_encodes_for_each(run: Runner) -> None:
    class Numbered:
        def __init__(self) -> None:
            self.count = 0

        def feed(self, data: bytes) -> list[bytes]:
            return [data]

        def encode(self, message: Any) -> bytes:
            self.count += 1
            return f"{self.count}{json.dumps(message)}\n".encode()

    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", protocol=Numbered)
        async with serving(worker) as port:
            with await Client.connect(port) as one, await Client.connect(port) as two:
                await until(lambda: len(worker.connections) == 2)
                worker.connections[min(worker.connections)].send({"a": 0})  # type: ignore[arg-type]
                assert worker.broadcast({"a": 1}) == 2  # type: ignore[arg-type]
                assert sorted([await one.read_line(), await one.read_line(), await two.read_line()]) == [
                    '1{"a": 0}',
                    '1{"a": 1}',
                    '2{"a": 1}',
                ]

    run(main())


def test_those_closing_and_those_over_their_limit_are_not_counted(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", slow_consumer="drop", send_buffer_limit=100)
        full: list[Connection] = []
        worker.on_buffer_full = full.append
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as slow, await Client.connect(port) as leaving:
                await until(lambda: len(worker.connections) == 2)
                by_port = {connection.remote_port: connection for connection in worker.connections.values()}
                by_port[slow.port].send("x" * 20_000_000)
                by_port[leaving.port].close()
                by_port[slow.port].flush()
                assert worker.broadcast("y") == 0
                assert full == [by_port[slow.port]]
                by_port[slow.port].destroy()

    run(main())


def test_what_is_no_message_is_refused_and_nobody_there_is_nobody_reached(run: Runner) -> None:
    assert fan_out([], "x") == 0
    assert Worker("text://127.0.0.1:0").broadcast("x") == 0

    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        async with serving(worker) as port:
            with await Client.connect(port):
                await until(lambda: worker.connections)
                for wrong in (7, ["x"], None):
                    with pytest.raises(TypeError, match="a message is str or bytes"):
                        worker.broadcast(wrong)  # type: ignore[arg-type]

    run(main())

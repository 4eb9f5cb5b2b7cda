"""TLS by `ssl=`, on every kind of stream."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.net.support import (
    CERTIFICATE,
    KEY,
    LOCKED_KEY,
    Client,
    Runner,
    SecureClient,
    serving,
    stats,
    trusting,
    until,
)
from tidegate import Connection, Worker
from tidegate.errors import ConfigurationError
from tidegate.net.tls import make_context


def pair() -> tuple[str, str]:
    return CERTIFICATE, KEY


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE, KEY)
    return made


@pytest.mark.parametrize("make", [pair, context, lambda: [Path(CERTIFICATE), Path(KEY)]])
def test_a_pair_of_files_or_a_context_makes_text_secure(run: Runner, make: Any) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=make())

        @worker.on_message
        def echo(connection: Connection, line: str) -> None:
            connection.send(line.upper())
            connection.send("more")

        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            for word in ("one", "two", "three"):
                client.writer.write(f"{word}\n".encode())
                assert await client.read_line() == word.upper()
                assert await client.read_line() == "more"
            await client.close()

    run(main())


def test_a_secure_websocket_speaks_with_another_library(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", ssl=pair())
        worker.on_connect = lambda connection: connection.send("hello")
        worker.on_message = lambda connection, message: connection.send(message)
        async with serving(worker) as port, connect(f"wss://localhost:{port}", ssl=trusting()) as client:
            assert await client.recv() == "hello"
            for message in ("text", b"binary", "x" * 300_000):
                await client.send(message)
                assert await client.recv() == message

    run(main())


def test_messages_that_the_server_begins_arrive(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=pair())
        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            await until(lambda: worker.connections)
            (connection,) = worker.connections.values()
            for number in range(20):
                connection.send(str(number))
                assert await client.read_line() == str(number)
            await client.close()

    run(main())


def test_a_secure_client_that_does_not_read_is_closed_as_a_slow_consumer(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", ssl=pair(), send_buffer_limit=100_000)
        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            await until(lambda: worker.connections)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            (connection,) = worker.connections.values()
            while connection.send(b"x" * 60_000):
                await asyncio.sleep(0)
            await until(lambda: not worker.connections)
            assert stats(worker)["slow_consumers"] == 1
            client.writer.transport.abort()
            await client.close()

    run(main())


def test_what_is_queued_at_close_arrives(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", ssl=pair())

        @worker.on_connect
        def leave(connection: Connection) -> None:
            connection.send(b"x" * 900_000)
            connection.close(b"last")

        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            assert await client.reader.read() == b"x" * 900_000 + b"last"
            await client.close()
            await until(lambda: not worker.connections)

    run(main())


def test_the_address_is_known_until_on_close(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=pair())
        left: list[tuple[str, int]] = []
        worker.on_close = lambda connection: left.append((connection.remote_ip, connection.remote_port))
        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            own = client.writer.get_extra_info("sockname")
            await until(lambda: worker.connections)
            await client.close()
            await until(lambda: left)
            assert left == [("127.0.0.1", own[1])]

    run(main())


def test_answers_of_async_handlers_outlive_nothing_but_the_connection(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=pair())
        seen: list[str] = []
        go_on = asyncio.Event()

        @worker.on_message
        async def handle(connection: Connection, line: str) -> None:
            await go_on.wait()
            seen.append(line)

        worker.on_close = lambda connection: seen.append("closed")
        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            client.writer.write(b"1\n2\n3\n")
            await until(lambda: stats(worker)["messages_in"] == 3)
            await client.close()
            await until(lambda: not worker.connections)
            go_on.set()
            await until(lambda: "closed" in seen)
            assert seen == ["1", "2", "3", "closed"]

    run(main())


def test_a_client_that_speaks_no_tls_makes_no_event(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", ssl=pair())
        events: list[Connection] = []
        worker.on_connect = worker.on_close = events.append
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"hello, is this a line?\n")
                await client.read_to_end()
            await until(lambda: stats(worker)["handshake_failures"] == 1)
            assert events == []

    run(main())


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        (("/nowhere/a.crt", KEY), "there is no file /nowhere/a.crt"),
        ((CERTIFICATE, "/nowhere/a.key"), "there is no file /nowhere/a.key"),
        ((KEY, CERTIFICATE), "are no certificate and its key"),
        ((CERTIFICATE, LOCKED_KEY), "has a passphrase"),
        (CERTIFICATE, r"a pair: \(certificate file, key file\)"),
        ((CERTIFICATE,), r"a pair: \(certificate file, key file\)"),
        (True, r"a pair: \(certificate file, key file\)"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_is_wrong(setting: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        make_context(setting)
    assert "\n" not in str(caught.value)

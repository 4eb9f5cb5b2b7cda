"""How connections begin, and who never becomes one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from tests.clients import client_frame, upgrade_request
from tests.net.support import Client, Runner, WebSocketClient, close_frame, serving, stats, turns, until
from tidegate import Connection, Worker
from tidegate.protocols import Handshake


def recording(address: str, **options: Any) -> tuple[Worker, list[Any]]:
    """A worker, and a list of what happens to its connections."""
    worker = Worker(address, **options)
    events: list[Any] = []
    worker.on_connect = lambda connection: events.append("connect")
    worker.on_message = lambda connection, message: events.append(message)
    worker.on_close = lambda connection: events.append("close")
    return worker, events


@pytest.mark.parametrize("scheme", ["websocket", "text"])
def test_a_port_scan_makes_at_most_a_pair_of_events(run: Runner, scheme: str) -> None:
    async def main() -> None:
        worker, events = recording(f"{scheme}://127.0.0.1:0")
        async with serving(worker) as port:
            for end in (Client.reset, lambda client: client.sock.close()):
                before = stats(worker)["accepted"]
                end(await Client.connect(port))
                await until(lambda: stats(worker)["accepted"] == before + 1)  # noqa: B023
            if scheme == "websocket":
                await until(lambda: stats(worker)["handshake_failures"] == 2)
                assert events == []
            else:
                await until(lambda: events == ["connect", "close"] * 2)

    run(main())


def test_on_connect_comes_after_the_handshake_and_not_at_accept(run: Runner) -> None:
    async def main() -> None:
        worker, events = recording("websocket://127.0.0.1:0")
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                request = upgrade_request()
                await client.send(request[:-1])
                await until(lambda: stats(worker)["accepted"] == 1)
                await turns(10)
                assert (events, worker.connections) == ([], {})
                await client.send(request[-1:])
                await client.read_until(b"\r\n\r\n")
                assert events == ["connect"]
                assert len(worker.connections) == 1

    run(main())


def test_the_handshake_is_there_in_on_connect_and_gone_after(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        seen: list[Handshake] = []

        @worker.on_connect
        def connect(connection: Connection) -> None:
            seen.append(connection.handshake)

        @worker.on_message
        def message(connection: Connection, data: str) -> None:
            connection.send(str(hasattr(connection, "handshake")))

        async with serving(worker) as port:
            headers = ("Cookie: name=value", "X-Special: yes")
            with await WebSocketClient.open(port, path="/a%20room?id=7", headers=headers) as client:
                await client.send_text("?")
                assert await client.read_text() == "False"
        (handshake,) = seen
        assert (handshake.path, handshake.query, handshake.cookies) == ("/a room", {"id": "7"}, {"name": "value"})
        assert handshake.headers["x-special"] == "yes"
        assert handshake.remote_ip == "127.0.0.1"

    run(main())


def test_the_handshake_is_there_until_an_async_on_connect_ends(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0")
        seen: list[str] = []

        @worker.on_connect
        async def connect(connection: Connection) -> None:
            for _ in range(5):
                seen.append(connection.handshake.path)
                await asyncio.sleep(0)

        @worker.on_message
        async def message(connection: Connection, data: str) -> None:
            seen.append(f"{data} {hasattr(connection, 'handshake')}")

        async with serving(worker) as port:
            with await WebSocketClient.open(port, client_frame(0x81, b"early"), path="/x"):
                await until(lambda: len(seen) == 6)
        assert seen == ["/x"] * 5 + ["early False"]

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_is_sent_with_the_request_comes_after_on_connect_and_in_order(run: Runner, kind: str) -> None:
    async def main() -> None:
        worker, events = recording("websocket://127.0.0.1:0")
        if kind == "async def":

            @worker.on_connect
            async def connect(connection: Connection) -> None:
                await asyncio.sleep(0)
                connection.send("welcome")
                events.append("connect")

        frames = [client_frame(0x81, str(number).encode()) for number in range(5)]
        async with serving(worker) as port:
            with await WebSocketClient.open(port, *frames, close_frame()) as client:
                if kind == "async def":
                    assert await client.read_text() == "welcome"
                assert await client.read_close() == (1000, "")
                await until(lambda: "close" in events)
        assert events == ["connect", "0", "1", "2", "3", "4", "close"]

    run(main())


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.usefixtures("hurry")
def test_a_handshake_that_is_not_finished_in_time_ends_the_connection(run: Runner, first: bytes) -> None:
    async def main() -> None:
        worker, events = recording("websocket://127.0.0.1:0", handshake_timeout=1)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as other, await Client.connect(port) as client:
                await client.send(first)
                assert await client.read_to_end() == b""
                assert stats(worker)["handshake_failures"] == 1
                await other.send_text("I am not concerned")
                await until(lambda: "I am not concerned" in events)

    run(main())


def test_a_plain_http_request_is_answered_with_426(run: Runner) -> None:
    async def main() -> None:
        worker, events = recording("websocket://127.0.0.1:0")
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                response = await client.read_to_end()
                assert response.startswith(b"HTTP/1.1 426 ")
                assert b"this port speaks WebSocket" in response
            await until(lambda: stats(worker)["handshake_failures"] == 1)
            assert events == []

    run(main())


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"])
@pytest.mark.parametrize("end", [Client.reset, lambda client: client.sock.close()])
def test_the_clients_address_is_known_also_in_on_close(run: Runner, host: str, end: Any) -> None:
    async def main() -> None:
        worker = Worker(f"text://[{host}]:0" if ":" in host else f"text://{host}:0")
        seen: list[tuple[str, int]] = []

        def note(connection: Connection, *_: Any) -> None:
            seen.append((connection.remote_ip, connection.remote_port))

        worker.on_connect = worker.on_message = worker.on_close = note
        async with serving(worker) as port:
            client = await Client.connect(port, host)
            expected = (host, client.port)
            await client.send(b"line\n")
            await until(lambda: len(seen) == 2)
            end(client)
            await until(lambda: len(seen) == 3)
        assert seen == [expected] * 3

    run(main())


@pytest.mark.parametrize("ips", [("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)])
def test_an_ipv4_client_of_an_ipv6_address_has_its_ipv4_address(run: Runner, ips: tuple[str, ...]) -> None:
    async def main() -> None:
        worker = Worker("text://[::]:0" if "::1" in ips else "text://0.0.0.0:0")
        worker.on_connect = lambda connection: connection.send(connection.remote_ip)
        async with serving(worker) as port:
            for ip in ips:
                with await Client.connect(port, ip) as client:
                    assert await client.read_line() == ip

    run(main())


def test_connections_belong_to_their_worker_and_have_ids_of_their_own(run: Runner) -> None:
    async def main() -> None:
        worker, _ = recording("text://127.0.0.1:0")
        async with serving(worker) as port:
            with await Client.connect(port), await Client.connect(port):
                await until(lambda: len(worker.connections) == 2)
                for number, connection in worker.connections.items():
                    assert connection.id == number
                    assert connection.worker is worker
                    assert connection.is_open
                    connection.nickname = "any attribute may be set"
                    assert repr(connection) == f"<Connection {number} open text-0 from 127.0.0.1>"
                rows = worker.connection_rows(1)
                assert [row["worker"] for row in rows] == ["text-0"]
                with pytest.raises(TypeError):
                    worker.connections[0] = connection  # type: ignore[index]

    run(main())


def test_a_protocol_class_that_fails_to_start_costs_its_connection_only(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    class Moody:
        made = 0

        def __init__(self) -> None:
            type(self).made += 1
            if type(self).made == 1:
                raise RuntimeError("not today")

        def feed(self, data: bytes) -> list[bytes]:
            return [data]

        def encode(self, message: bytes) -> bytes:
            return message

    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", protocol=Moody)
        worker.on_message = lambda connection, message: connection.send(message)
        async with serving(worker) as port:
            with await Client.connect(port) as first:
                assert await first.read_to_end() == b""
            with await Client.connect(port) as second:
                await second.send(b"hello")
                assert await second.read(5) == b"hello"

    run(main())
    assert "not today" in caplog.text


def test_a_stop_while_connections_are_being_accepted_leaves_nothing(run: Runner) -> None:
    async def main() -> None:
        worker, events = recording("text://127.0.0.1:0")
        async with serving(worker) as port:
            clients = [await Client.connect(port) for _ in range(20)]
        for client in clients:
            await client.read_to_end()
            client.sock.close()
        assert events.count("connect") == events.count("close")

    run(main())

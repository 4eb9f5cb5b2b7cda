"""Who may come in, by number and by address."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import Any

import pytest

from tests.clients import upgrade_request
from tests.net.support import (
    CERTIFICATE,
    KEY,
    Client,
    Runner,
    SecureClient,
    WebSocketClient,
    serving,
    stats,
    trusting,
    until,
)
from tidegate import Connection, Worker
from tidegate.protocols.proxy import SIGNATURE

LINE = b"PROXY TCP4 203.0.113.9 10.0.0.1 5555 7272\r\n"


def greeting(address: str, **settings: Any) -> Worker:
    """A worker that tells each client where it is."""
    worker = Worker(address, **settings)
    worker.on_connect = lambda connection: connection.send(f"{connection.remote_ip} {connection.remote_port}")
    return worker


async def connect_from(host: str, port: int) -> Client:
    """From an address of this machine's own."""
    sock = socket.socket()
    sock.bind((host, 0))
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Client(sock)


async def refused(port: int, *headers: str) -> bytes:
    """The status line with which a handshake is refused."""
    with await Client.connect(port) as client:
        await client.send(upgrade_request("/", *headers))
        return (await client.read_to_end()).partition(b"\r\n")[0]


# Numbers


def test_over_max_connections_a_browser_is_told_to_come_later(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", max_connections=2)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as first:
                with await Client.connect(port):  # one that is being opened counts as well
                    await until(lambda: stats(worker)["accepted"] == 2)
                    assert await refused(port) == b"HTTP/1.1 503 Service Unavailable"
                    with await Client.connect(port) as silent:
                        answer = await silent.read_to_end()
                        assert b"\r\nRetry-After: 10\r\n" in answer
                        assert b"as many connections as this server takes" in answer
                    assert stats(worker)["refused_connections"] == 2
                await first.send_text("still here")
                await until(lambda: stats(worker)["messages_in"] == 1)
                await until(lambda: stats(worker)["handshake_failures"] == 1)
                with await WebSocketClient.open(port):
                    pass

    run(main())


@pytest.mark.parametrize("ssl", [None, (CERTIFICATE, KEY)], ids=["plain", "tls"])
def test_over_max_connections_others_are_closed(run: Runner, ssl: Any) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", max_connections=1, ssl=ssl)
        async with serving(worker) as port:
            first = await SecureClient.connect(port) if ssl else await Client.connect(port)
            assert (await first.read_line()).startswith("127.0.0.1 ")
            with await Client.connect(port) as second:
                assert await second.read_to_end() == b""
            assert stats(worker)["refused_connections"] == 1
            await first.close() if isinstance(first, SecureClient) else first.sock.close()
            await until(lambda: not worker.connections)
            with await Client.connect(port) as third:
                if not ssl:
                    assert (await third.read_line()).startswith("127.0.0.1 ")

    run(main())


def test_a_flood_that_comes_in_one_turn_is_bounded_as_well(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", max_connections=5, max_connections_per_ip=3)
        async with serving(worker) as port:
            clients = []
            for _ in range(20):
                sock = socket.create_connection(("127.0.0.1", port))
                sock.setblocking(False)
                clients.append(Client(sock))
            await until(lambda: sum(stats(worker)[name] for name in ("refused_connections", "refused_addresses")) == 17)
            assert len(worker.connections) == 3
            for client in clients:
                client.sock.close()

    run(main())


def test_an_address_has_a_bound_of_its_own_which_others_do_not_feel(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", max_connections_per_ip=2)
        async with serving(worker) as port:
            clients = [await connect_from("127.0.0.2", port) for _ in range(2)]
            for client in clients:
                assert (await client.read_line()).startswith("127.0.0.2 ")
            with await connect_from("127.0.0.2", port) as third:
                assert await third.read_to_end() == b""
            with await connect_from("127.0.0.3", port) as other:
                assert (await other.read_line()).startswith("127.0.0.3 ")
            assert stats(worker)["refused_addresses"] == 1
            clients.pop().sock.close()
            await until(lambda: len(worker.connections) == 1)
            with await connect_from("127.0.0.2", port) as again:
                assert (await again.read_line()).startswith("127.0.0.2 ")
            clients.pop().sock.close()
            await until(lambda: not worker.connections)
            assert worker._endpoint is not None
            gate = worker._endpoint.gate
            assert not gate._counts
            assert not gate._keys

    run(main())


def test_the_oldest_handshake_makes_room_for_a_new_one(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", max_handshakes=3)
        async with serving(worker) as port:
            slow = []
            for count in range(3):
                slow.append(await Client.connect(port))
                await slow[-1].send(b"GET / HTTP/1.1\r\n")
                await until(lambda count=count: stats(worker)["accepted"] == count + 1)  # type: ignore[misc]
            with await WebSocketClient.open(port):  # nobody is kept out
                await slow[0].read_to_end()
                assert stats(worker)["dropped_handshakes"] == 1
                await slow[1].send(upgrade_request()[16:])
                assert (await slow[1].read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            for client in slow:
                client.sock.close()

    run(main())


def test_the_oldest_tls_handshake_makes_room_too(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", max_handshakes=2, ssl=(CERTIFICATE, KEY))
        async with serving(worker) as port:
            slow = [await Client.connect(port) for _ in range(4)]
            await slow[0].read_to_end()
            await slow[1].read_to_end()
            assert stats(worker)["dropped_handshakes"] == 2
            client = await SecureClient.connect(port)
            assert (await client.read_line()).startswith("127.0.0.1 ")
            await client.close()
            for one in slow:
                one.sock.close()

    run(main())


def test_what_is_too_large_or_too_late_is_counted(run: Runner, hurry: None) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", max_request_size=1000, max_message_size=10, handshake_timeout=1)
        async with serving(worker) as port:
            assert await refused(port, "X-Long: " + "x" * 1000) == b"HTTP/1.1 431 Request Header Fields Too Large"
            with await WebSocketClient.open(port) as client:
                await client.send_text("x" * 11)
                assert (await client.read_close())[0] == 1009
            with await Client.connect(port) as late:
                assert await late.read_to_end() == b""
            counted = stats(worker)
            assert (counted["large_requests"], counted["large_messages"], counted["late_handshakes"]) == (1, 1, 1)

    run(main())


def test_no_tls_and_no_proxys_header_in_time_is_counted_as_late_too(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidegate")

    async def main() -> None:
        secure = Worker("text://127.0.0.1:0", ssl=(CERTIFICATE, KEY), handshake_timeout=1)
        behind = Worker("text://127.0.0.1:0", proxy_protocol=True, handshake_timeout=1)
        async with serving(secure) as secure_port, serving(behind) as port:
            with await Client.connect(secure_port) as first, await Client.connect(port) as second:
                assert [await first.read_to_end(), await second.read_to_end()] == [b"", b""]
            assert [stats(worker)["late_handshakes"] for worker in (secure, behind)] == [1, 1]

    run(main())
    assert "127.0.0.1: no TLS handshake in 1 s" in caplog.text
    assert "127.0.0.1: no PROXY header in 1 s" in caplog.text


# Addresses


@pytest.mark.parametrize(
    ("trusted", "header", "seen"),
    [
        (["127.0.0.0/8"], "X-Forwarded-For: 1.2.3.4, 203.0.113.9", "203.0.113.9 0"),
        (["127.0.0.1"], 'Forwarded: for=1.2.3.4, for="[2001:db8::1]:77"', "2001:db8::1 77"),
        (["10.0.0.0/8"], "X-Forwarded-For: 203.0.113.9", "127.0.0.1"),
        ([], "X-Forwarded-For: 203.0.113.9", "127.0.0.1"),
    ],
)
def test_a_trusted_proxys_word_about_the_client_counts(run: Runner, trusted: list[str], header: str, seen: str) -> None:
    async def main() -> None:
        worker = greeting("websocket://127.0.0.1:0", trusted_proxies=trusted)
        said: list[str] = []
        ended: list[str] = []

        @worker.on_connect
        async def greet(connection: Connection) -> None:
            said.append(connection.handshake.remote_ip)
            await asyncio.sleep(0)
            connection.send(f"{connection.remote_ip} {connection.remote_port}")

        worker.on_close = lambda connection: ended.append(connection.remote_ip)
        async with serving(worker) as port:
            with await WebSocketClient.open(port, headers=(header,)) as client:
                assert (await client.read_text()).startswith(seen)
                assert said == [seen.partition(" ")[0]]
                assert worker.connection_rows(1)[0]["remote"].startswith(said[0])
            await until(lambda: ended)
            if trusted == ["127.0.0.1"]:
                assert ended == said

    run(main())


def test_behind_a_proxy_each_clients_own_address_is_bounded(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", trusted_proxies=["127.0.0.1"], max_connections_per_ip=2)

        def header(ip: str) -> str:
            return f"X-Forwarded-For: 9.9.9.9, {ip}"

        async with serving(worker) as port:
            clients = [await WebSocketClient.open(port, headers=(header("203.0.113.9"),)) for _ in range(2)]
            clients += [await WebSocketClient.open(port, headers=(header("2001:db8::1"),))]
            clients += [await WebSocketClient.open(port, headers=(header("2001:db8::2"),))]
            clients += [await WebSocketClient.open(port) for _ in range(3)]  # the proxy itself
            assert await refused(port, header("203.0.113.9")) == b"HTTP/1.1 429 Too Many Requests"
            assert await refused(port, header("2001:db8::ffff")) == b"HTTP/1.1 429 Too Many Requests"
            with await WebSocketClient.open(port, headers=(header("203.0.113.10"),)):
                pass
            assert stats(worker)["refused_addresses"] == 2
            clients.pop(0).sock.close()
            await until(lambda: len(worker.connections) == 6)
            with await WebSocketClient.open(port, headers=(header("203.0.113.9"),)):
                pass
            for client in clients:
                client.sock.close()

    run(main())


# The PROXY protocol

BINARY = SIGNATURE + struct.pack("!BBH4s4sHH", 0x21, 0x11, 12, bytes((203, 0, 113, 9)), bytes(4), 5555, 7272)


@pytest.mark.parametrize("header", [LINE, BINARY])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_proxys_header_says_where_the_client_is(run: Runner, header: bytes, size: int) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", proxy_protocol=True)
        received: list[str | bytes] = []
        worker.on_message = lambda connection, line: received.append(line)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                data = header + b"hello\n"
                for start in range(0, len(data), size):
                    await client.send(data[start : start + size])
                    await asyncio.sleep(0)
                assert await client.read_line() == "203.0.113.9 5555"
                await until(lambda: received == ["hello"])

    run(main())


def test_a_proxys_header_comes_before_tls(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", proxy_protocol=True, ssl=(CERTIFICATE, KEY))
        async with serving(worker) as port:
            plain = await Client.connect(port)
            await plain.send(LINE)
            reader, writer = await asyncio.open_connection(sock=plain.sock, ssl=trusting(), server_hostname="localhost")
            assert await reader.readline() == b"203.0.113.9 5555\n"
            await SecureClient(reader, writer).close()

    run(main())


def test_a_proxy_that_speaks_for_itself_keeps_its_address(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("text://127.0.0.1:0", proxy_protocol=True, trusted_proxies=["127.0.0.0/8"])
        async with serving(worker) as port:
            for header in (SIGNATURE + b"\x20\0\0\0", b"PROXY UNKNOWN\r\n"):
                with await Client.connect(port) as client:
                    await client.send(header)
                    assert await client.read_line() == f"127.0.0.1 {client.port}"

    run(main())


def test_a_proxys_header_and_then_the_requests_are_both_read(run: Runner) -> None:
    """A balancer, then a proxy, then the gateway."""

    async def main() -> None:
        settings: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}
        async with serving(greeting("websocket://127.0.0.1:0", **settings)) as port:
            with await WebSocketClient.connect(port) as client:
                await client.send(b"PROXY TCP4 10.0.0.7 10.0.0.1 5 6\r\n")
                await client.send(upgrade_request("/", "X-Forwarded-For: 203.0.113.9"))
                await client.read_until(b"\r\n\r\n")
                assert await client.read_text() == "203.0.113.9 0"
            with await WebSocketClient.connect(port) as client:
                await client.send(b"PROXY TCP4 203.0.113.8 10.0.0.1 5 6\r\n")
                await client.send(upgrade_request("/", "X-Forwarded-For: 203.0.113.9"))  # it is no proxy
                await client.read_until(b"\r\n\r\n")
                assert await client.read_text() == "203.0.113.8 5"

    run(main())


def test_without_a_proxys_header_nobody_comes_in(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("websocket://127.0.0.1:0", proxy_protocol=True, handshake_timeout=1)
        async with serving(worker) as port:
            with await Client.connect(port) as forger:
                await forger.send(upgrade_request())
                assert await forger.read_to_end() == b""
            with await Client.connect(port) as gone:
                await gone.send(LINE[:10])
                gone.shut()
                assert await gone.read_to_end() == b""
            with await Client.connect(port) as slow:
                await slow.send(LINE[:10])
                assert await slow.read_to_end() == b""
            assert stats(worker)["handshake_failures"] == 3
            assert stats(worker)["accepted"] == 0

    run(main())


def test_where_each_has_to_come_through_a_proxy_others_are_told_so(run: Runner) -> None:
    async def main() -> None:
        worker = greeting("websocket://127.0.0.1:0", proxy_protocol=True, trusted_proxies=["10.0.0.0/8"])
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                assert (await client.read_to_end()).startswith(b"HTTP/1.1 403 ")
            assert stats(worker)["refused_proxies"] == 1

    run(main())

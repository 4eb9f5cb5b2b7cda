"""A gateway's settings, its place in the cluster, and its clients of every protocol."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clients import client_frame
from tests.gateway.support import Peer, gateway
from tests.net.support import CERTIFICATE, KEY, Client, Runner, SecureClient, WebSocketClient, until
from tests.ports import free_port
from tidegate.app import App
from tidegate.errors import AddressError, ConfigurationError
from tidegate.gateway import gateway as module
from tidegate.gateway import presence
from tidegate.gateway.gateway import Gateway
from tidegate.gateway.inner_address import bind_inner, resolve_lan_ip
from tidegate.process.settings import GatewaySettings
from tidegate.register.register import Register
from tidegate.wire import commands
from tidegate.wire.commands import ON_CLOSE, ON_CONNECT, ON_MESSAGE

# Settings


@pytest.mark.parametrize("lan_ip", ["0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_a_wildcard_is_no_lan_ip_and_the_error_says_what_is(lan_ip: str) -> None:
    with pytest.raises(ConfigurationError, match=r"gateway 'chat'.*workers can connect to.*inner_listen='0\.0\.0\.0'"):
        Gateway("websocket://127.0.0.1:7272", name="chat", lan_ip=lan_ip).describe({})


@pytest.mark.parametrize("lan_ip", ["::1", "no name", "a..b", "x" * 300])
def test_what_is_no_ipv4_address_is_no_lan_ip(lan_ip: str) -> None:
    with pytest.raises(ConfigurationError, match="neither an IPv4 address nor a name"):
        Gateway("websocket://127.0.0.1:7272", lan_ip=lan_ip).describe({})


def test_a_name_is_resolved() -> None:
    assert resolve_lan_ip("g", "localhost") == "127.0.0.1"


@pytest.mark.parametrize(
    ("inner_listen", "lan_ip", "where"),
    [
        (None, "127.0.0.1", "127.0.0.1"),
        (None, "127.0.0.2", "127.0.0.2"),
        (None, "8.8.8.8", "0.0.0.0"),
        ("127.0.0.3", "8.8.8.8", "127.0.0.3"),
        ("0.0.0.0", "10.1.2.3", "0.0.0.0"),
        ("localhost", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_the_inner_port_is_where_it_can_be_reached(inner_listen: str | None, lan_ip: str, where: str) -> None:
    sockets = bind_inner("g", inner_listen, lan_ip, 0)
    assert sockets[0].getsockname()[0] == where
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        ({}, False),
        ({"inner_listen": "localhost"}, False),
        ({"inner_listen": "0.0.0.0"}, True),
        ({"inner_listen": "0.0.0.0", "secret_key": "s"}, False),
    ],
)
def test_no_secret_beyond_this_machine_is_warned_of(
    run: Runner, settings: dict[str, Any], warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with gateway(**settings) as place:
            assert place.gateway.address is not None

    run(main())
    assert ("NO SECRET" in caplog.text) == warns


def test_there_have_to_be_as_many_ports_as_processes() -> None:
    Gateway("websocket://127.0.0.1:7272", start_port=65535).describe({})
    with pytest.raises(ConfigurationError, match="start_port=65535 leaves no 2 ports"):
        Gateway("websocket://127.0.0.1:7272", start_port=65535, count=2).describe({})
    first = Gateway("websocket://127.0.0.1:7272", start_port=3000, count=3)
    second = Gateway("text://127.0.0.1:7373", start_port=3002)
    with pytest.raises(ConfigurationError, match="both need the inner port 3002"):
        App(first, second).describe({})


@pytest.mark.parametrize(
    ("address", "more", "why"),
    [
        ("udp://127.0.0.1:1", {}, "udp:// has not"),
        ("http://127.0.0.1:1", {}, "http:// has not"),
        ("websocket://127.0.0.1:1", {"protocol": object}, "tcp:// or unix://"),
    ],
)
def test_an_address_has_to_be_one_for_clients(address: str, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Gateway(address, **more)


def test_its_processes_are_made_of_its_row_of_the_topology() -> None:
    given = Gateway(
        "websocket://127.0.0.1:7272",
        name="chat",
        count=3,
        lan_ip="127.0.0.2",
        start_port=4000,
        cluster=["127.0.0.1:1", "127.0.0.1:2"],
        secret_key="s",
        ping_interval=5.5,
        ping_data='{"type":"ping"}',
        router="random",
        subprotocols=["a", "b"],
        compression=True,
        slow_consumer="drop",
    )
    app = App(Register(), given)
    (row,) = [row for row in json.loads(json.dumps(app.describe({})))["workers"] if row["name"] == "chat"]
    made = Gateway.from_settings(row)
    assert made.settings({}) == given.settings({})
    assert isinstance(made.settings({}), GatewaySettings)
    assert (made.name, str(made.address), made._has_register) == ("chat", "websocket://127.0.0.1:7272", True)
    assert (row["overlap"], row["stage"], row["reloadable"], row["count"]) == (False, 0, False, 3)
    assert list(made.inner_ports({})) == [4000, 4001, 4002]


@pytest.mark.parametrize("more", [{"router": lambda workers, *_: workers[0]}, {"ping_data": b"\0"}])
def test_where_users_code_is_among_the_settings_the_processes_import_it(more: dict[str, Any]) -> None:
    assert "settings" not in Gateway("websocket://127.0.0.1:7272", **more).describe({})


# Protocols


class Shout:
    """A protocol of a user's own: messages end with !."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *messages, self._rest = (self._rest + data).split(b"!")
        return [message.decode() for message in messages]

    def encode(self, message: str | bytes) -> bytes:
        return (message.encode() if isinstance(message, str) else message).upper() + b"!"


TEXT, BINARY = 1, 1 | 4


@pytest.mark.parametrize(
    ("address", "settings", "sent", "message", "received"),
    [
        ("text://127.0.0.1:0", {}, "直\r\n".encode(), (TEXT, "直".encode()), b"hi\n"),
        ("text://127.0.0.1:0", {}, b"\xff\n", (BINARY, b"\xff"), b"hi\n"),
        ("tcp://127.0.0.1:0", {}, b"\xff\n", (BINARY, b"\xff\n"), b"hi"),
        ("tcp://127.0.0.1:0", {"encoding": "utf-8"}, b"a\n", (TEXT, b"a\n"), b"hi"),
        ("frame://127.0.0.1:0", {}, b"\0\0\0\5a", (BINARY, b"a"), b"\0\0\0\6hi"),
        ("frame://127.0.0.1:0", {"encoding": "utf-8"}, b"\0\0\0\5a", (TEXT, b"a"), b"\0\0\0\6hi"),
        ("tcp://127.0.0.1:0", {"protocol": Shout}, b"a!", (TEXT, b"a"), b"HI!"),
    ],
)
def test_clients_of_every_protocol_are_served(
    run: Runner,
    address: str,
    settings: dict[str, Any],
    sent: bytes,
    message: tuple[int, bytes],
    received: bytes,
) -> None:
    async def main() -> None:
        async with gateway(address, **settings) as place:
            with await Peer.worker(place.inner, tidegate=1) as worker, await Client.connect(place.port) as client:
                packet = await worker.packet()
                assert packet[0] == ON_CONNECT
                assert packet[5:] == (0x7F000001, place.inner, 0x7F000001, client.port, place.port)
                await client.send(sent)
                packet = await worker.packet()
                assert (packet[0], packet[2], packet[4]) == (ON_MESSAGE, *message)
                await worker.tell(commands.SEND_TO_ONE, packet[1], body=b"hi")
                assert await client.read(len(received)) == received
                await worker.tell(commands.SEND_TO_ALL, body=b"hi")
                assert await client.read(len(received)) == received
                await worker.tell(commands.KICK, packet[1], body=b"hi")
                assert await client.read_to_end() == received
                client.sock.close()
                assert (await worker.event())[0] == ON_CLOSE

    run(main())


def test_clients_of_a_unix_socket_have_no_address(run: Runner, run_folder: Path) -> None:
    async def main() -> None:
        async with gateway(f"unix://{run_folder}/s") as place:
            with (
                await Peer.worker(place.inner) as worker,
                await Client.connect_unix(f"{run_folder}/s") as client,
            ):
                packet = await worker.packet()
                assert (packet[0], packet[7:]) == (ON_CONNECT, (0, 0, 0))
                await client.send(b"hi")
                assert (await worker.event())[2] == b"hi"

    run(main())


def test_secure_clients_are_served(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0", ssl=(CERTIFICATE, KEY)) as place:
            with await Peer.worker(place.inner) as worker:
                client = await SecureClient.connect(place.port)
                packet = await worker.packet()
                assert packet[7] == 0x7F000001
                client.writer.write(b"hi\n")
                assert (await worker.event())[2] == b"hi"
                await worker.tell(commands.SEND_TO_ONE, packet[1], body=b"there")
                assert await client.read_line() == "there"
                await client.close()
                assert (await worker.event())[0] == ON_CLOSE

    run(main())


def test_a_port_scan_makes_no_event(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await Peer.worker(place.inner) as worker:
                with await Client.connect(place.port) as scanner:
                    await scanner.send(b"GET / HTTP/1.1\r\n\r\n")
                    await scanner.read_to_end()
                (await Client.connect(place.port)).reset()
                await worker.silent()

    run(main())


# Its place in the cluster


async def watch_register(port: int) -> Client:
    """See who is listed, as a worker does."""
    watcher = await Client.connect(port)
    await watcher.send(b'{"event":"worker_connect","secret_key":""}\n')
    return watcher


async def listed(watcher: Client) -> Any:
    return json.loads(await watcher.read_line())["addresses"]


def test_it_announces_the_address_that_client_ids_begin_with(run: Runner) -> None:
    async def main() -> None:
        async with gateway(lan_ip="127.0.0.2") as place:
            with await watch_register(place.register) as watcher:
                assert await listed(watcher) == [f"127.0.0.2:{place.inner}"]
            with await Peer.connect(place.inner, "127.0.0.2") as peer:
                assert await peer.ask(commands.IS_ONLINE, 1) == b"i:0;"

    run(main())


def test_it_stops_by_leaving_register_and_stays_reachable_for_those_who_do_not_know_yet(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED_SECONDS", 0.4)

    async def main() -> None:
        async with gateway() as place:
            with (
                await Peer.worker(place.inner) as worker,
                await watch_register(place.register) as watcher,
                await WebSocketClient.open(place.port) as client,
            ):
                assert await listed(watcher) == [f"127.0.0.1:{place.inner}"]
                assert [(await worker.event())[0] for _ in range(2)] == [1, 205]
                begun = time.monotonic()
                stopping = asyncio.ensure_future(place.gateway.stop(seconds=3))
                assert await listed(watcher) == []
                code, _ = await client.read_close()
                assert code == 1001
                await client.send(client_frame(0x88, b"\x03\xe9"))
                assert (await worker.event())[0] == ON_CLOSE
                with await Peer.connect(place.inner) as late:
                    assert await late.ask(commands.IS_ONLINE, 1) == b"i:0;"
                assert not stopping.done()
                await stopping
                assert 0.4 < time.monotonic() - begun < 2
                assert await worker.read_to_end() == b""
                with socket.socket() as late_comer:
                    assert late_comer.connect_ex(("127.0.0.1", place.inner)) == errno.ECONNREFUSED

    run(main())


def test_without_register_it_serves_and_is_found_once_there_is_one(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "ANNOUNCE_SECONDS", 0.1)

    async def main() -> None:
        inner, port = free_port(), free_port()
        member = Gateway("text://127.0.0.1:0", start_port=inner, cluster=f"127.0.0.1:{port}")
        await member.listen()
        assert member.address is not None
        with await Peer.worker(inner) as worker, await Client.connect(member.address.port) as client:
            await client.send(b"hi\n")
            assert [(await worker.event())[0] for _ in range(2)] == [ON_CONNECT, ON_MESSAGE]
            register = Register(f"127.0.0.1:{port}", settle_seconds=0)
            await register.listen()
            with await watch_register(port) as watcher:
                while await listed(watcher) != [f"127.0.0.1:{inner}"]:
                    pass
            await client.send(b"still here\n")
            assert (await worker.event())[2] == b"still here"
        member._has_register = True
        await member.stop(seconds=1, whole=True)
        await register.stop(seconds=0.5)

    run(main())


def test_what_no_packet_has_room_for_ends_the_connection_and_the_log_says_why(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    class Fields(Shout):
        def feed(self, data: bytes) -> list[Any]:
            return [{"name": data}, b"", None]

    async def main() -> None:
        async with gateway("tcp://127.0.0.1:0", name="door", protocol=Fields) as place:
            with await Client.connect(place.port) as client:
                await client.send(b"x")
                assert await client.read_to_end() == b""
            assert place.gateway.snapshot()["protocol_errors"] == 1

    run(main())
    assert re.search(r"door: connection \d+ closed: .* NoneType and dict in it. A gateway carries str", caplog.text)


def test_an_inner_port_in_use_is_one_clear_error_and_leaves_nothing_behind(run: Runner) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            member = Gateway("text://127.0.0.1:0", name="chat", start_port=port)
            with pytest.raises(
                AddressError, match=rf"gateway 'chat', inner port, of lan_ip= and start_port=:.*{port}: it is in use"
            ):
                await member.listen()

    run(main())


def test_it_listens_again_after_a_stop(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            for _ in range(2):
                assert place.gateway.address is not None
                with await Client.connect(place.gateway.address.port):
                    await until(lambda: place.gateway.connections)
                await until(lambda: not place.gateway.connections)
                await place.gateway.stop(seconds=1, whole=True)
                await place.gateway.listen()

    run(main())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]

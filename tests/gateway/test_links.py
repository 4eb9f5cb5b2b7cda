"""What workers are told, and what only those that are Tidegate's can ask for."""

from __future__ import annotations

import struct

import pytest

from tests.gateway.clients import clients, counted, is_closed
from tests.gateway.support import Peer, gateway
from tests.net.support import Client, Runner, WebSocketClient, until
from tidegate.gateway import inner
from tidegate.net import reactor
from tidegate.wire import commands, php
from tidegate.wire.packet import pack

ASK = pack(commands.IS_ONLINE, 1)


def test_a_query_on_a_workers_link_sees_what_was_sent_before_it(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            with await Peer.worker(those.place.inner, tidegate=1, events=[]) as worker:
                for number in range(1, 200):
                    query = pack(commands.QUERY, number, body=pack(commands.GET_GROUP_ID_LIST))
                    await worker.send(pack(commands.JOIN_GROUP, those.ids[0], b"%d" % number) + query)
                    packet = await worker.packet()
                    assert packet[:4] == (commands.QUERY, number, commands.SCALAR, b"")
                    assert php.loads(packet[4]) == list(range(1, number + 1))

    run(main())


@pytest.mark.parametrize(
    "body", [b"", b"x", pack(commands.SEND_TO_ALL), ASK + ASK, ASK[:-1], pack(commands.QUERY, body=ASK), pack(99)]
)
def test_a_query_that_is_none_is_dropped(run: Runner, body: bytes) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await Peer.worker(place.inner, tidegate=1) as worker:
                await worker.tell(commands.QUERY, 1, body=body)
                await worker.tell(commands.QUERY, 2, body=ASK)
                assert (await worker.packet())[1] == 2
                assert counted(place)["bad_commands"] == 1

    run(main())


def test_an_answer_to_a_query_that_is_too_long_for_one_packet_comes_in_several(run: Runner) -> None:
    async def main() -> None:
        async with clients(3, max_packet_size=10_000) as those:
            for at in range(3):
                await those.do(commands.SET_SESSION, at, b"x" * 5000)
            await those.ask(commands.IS_ONLINE)
            with await Peer.worker(those.place.inner, tidegate=1, events=[]) as worker:
                await worker.tell(commands.QUERY, 7, body=pack(commands.GET_ALL_CLIENT_SESSIONS))
                packets = [await worker.packet(), await worker.packet()]
                assert [(packet[1], packet[3]) for packet in packets] == [(7, commands.MORE), (7, b"")]
                sessions = php.loads(b"".join(packet[4] for packet in packets))
                assert [len(session) for session in sessions.values()] == [5000] * 3

    run(main())


def test_the_originals_workers_get_no_byte_of_an_extension_and_can_ask_for_none(run: Runner) -> None:
    async def main() -> None:
        async with gateway("websocket://[::1]:0") as place:
            with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port, host="::1") as client:
                for command in (commands.QUERY, commands.PROGRESS, commands.DRAIN, commands.RELEASE):
                    await worker.tell(command, body=ASK)
                (number,) = place.gateway.connections
                await worker.tell(commands.SET_SESSION, number, b"a:0:{}")
                got = [await worker.packet(), await worker.packet()]
                await until(lambda: counted(place)["bad_commands"] == 4)
                await client.send(bytes([0x82, 0x81, 0, 0, 0, 0, 0xFF]))  # binary
                got.append(await worker.packet())
                client.sock.close()
                got.append(await worker.packet())
                assert [packet[0] for packet in got] == [1, 205, 3, 4]
                for packet in got:
                    command, _, flags, ext, _, _, _, origin, *_ = packet
                    assert (flags, origin) == (0 if command == 205 else 1, 0)
                    assert ext == (b"" if command in (1, 205) else b"a:0:{}")

    run(main())


def test_tidegates_workers_learn_what_is_binary_and_where_ipv6_clients_come_from(run: Runner) -> None:
    async def main() -> None:
        async with gateway("websocket://[::1]:0") as place:
            with (
                await Peer.worker(place.inner, tidegate=1, events=["message", "close"]) as worker,
                await WebSocketClient.open(place.port, host="::1") as client,
            ):
                await client.send_text("text")
                packet = await worker.packet()
                ip6 = bytes(15) + b"\x01"
                assert packet[:5] == (commands.ON_MESSAGE, packet[1], 1 | 8, ip6, b"text")
                await worker.tell(commands.SET_SESSION, packet[1], b"a:0:{}")
                await worker.tell(commands.QUERY, 1, body=ASK)
                assert (await worker.packet())[0] == commands.QUERY
                await client.send(bytes([0x82, 0x80, 0, 0, 0, 0]))
                packet = await worker.packet()
                assert packet[:5] == (commands.ON_MESSAGE, packet[1], 1 | 4 | 8, ip6 + b"a:0:{}", b"")
                client.sock.close()
                assert (await worker.packet())[0] == commands.ON_CLOSE

    run(main())


@pytest.mark.parametrize(("lan_ip", "pings"), [("127.0.0.2", True), ("127.0.0.1", False)])
def test_workers_elsewhere_are_pinged(run: Runner, monkeypatch: pytest.MonkeyPatch, lan_ip: str, pings: bool) -> None:
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(inner, "PING_SECONDS", 2)

    async def main() -> None:
        async with gateway(lan_ip=lan_ip, inner_listen="127.0.0.1") as place:
            with await Peer.worker(place.inner) as worker, await Peer.connect(place.inner) as push:
                assert await push.ask(commands.IS_ONLINE, 1) == b"i:0;"
                if not pings:
                    await worker.silent(0.2)
                    return
                for _ in range(3):
                    assert (await worker.packet())[:5] == (commands.PING, 0, 1, b"", b"")
                await push.silent()

    run(main())


def test_a_second_link_of_a_worker_replaces_the_first(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with await Peer.worker(place.inner, tidegate=1) as old, await Client.connect(place.port) as client:
                assert (await old.event())[0] == commands.ON_CONNECT
                await client.send(b"one\n")
                assert (await old.event())[2] == b"one"
                await old.tell(commands.PROGRESS, body=struct.pack("!QQ", 1, 1))
                await old.tell(commands.QUERY, 1, body=ASK)
                assert (await old.packet())[0] == commands.QUERY
                with await Peer.worker(place.inner, tidegate=1) as new:
                    assert await is_closed(old)
                    assert (await new.event())[2] == b"one"  # the first had not started it
                    await client.send(b"two\n")
                    assert (await new.event())[2] == b"two"
                    assert counted(place)["workers"] == 1

    run(main())


def test_drain_and_release_on_the_wire(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with (
                await Peer.worker(place.inner, "old:0", tidegate=1) as old,
                await Client.connect(place.port) as client,
                await Client.connect(place.port) as other,
            ):
                _, number, _ = await old.event()
                await old.event()
                for text in (b"1\n", b"2\n", b"3\n"):
                    await client.send(text)
                assert [(await old.event())[2] for _ in range(3)] == [b"1", b"2", b"3"]
                with await Peer.worker(place.inner, "new:0", tidegate=1) as new:
                    await old.tell(commands.DRAIN)
                    assert (await old.packet())[:5] == (commands.DRAIN, 0, 1, b"", b"")
                    await client.send(b"4\n")
                    await other.send(b"x\n")
                    await until(lambda: counted(place)["clients_waiting"] == 2)
                    other.sock.close()
                    await until(lambda: len(place.gateway.connections) == 1)
                    await new.silent()
                    await old.silent()
                    await old.tell(commands.PROGRESS, body=struct.pack("!QQ", 5, 5))
                    await old.tell(commands.RELEASE, body=struct.pack("!I", number))
                    assert await new.event() == (commands.ON_MESSAGE, number, b"4")
                    await client.send(b"5\n")
                    assert await new.event() == (commands.ON_MESSAGE, number, b"5")
                    old.sock.close()  # before it has released the other
                    assert [(await new.event())[0] for _ in range(2)] == [commands.ON_MESSAGE, commands.ON_CLOSE]
                    assert counted(place)["events_lost"] == 0

    run(main())


def test_release_from_a_worker_that_does_not_drain_is_refused(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with await Peer.worker(place.inner, tidegate=1) as worker, await Client.connect(place.port) as client:
                _, number, _ = await worker.event()
                for body in (struct.pack("!I", number), b"abc"):
                    await worker.tell(commands.RELEASE, body=body)
                await worker.tell(commands.PROGRESS, body=b"x")
                await worker.tell(commands.PROGRESS, body=struct.pack("!QQ", 9, 9))
                await client.send(b"hi\n")
                assert (await worker.event())[2] == b"hi"
                await until(lambda: counted(place)["bad_commands"] == 4)

    run(main())

"""The inner port: who may come in, and what becomes of those who send what they should not, or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from typing import Any

import pytest

from tests.gateway.clients import clients
from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Client, Runner, WebSocketClient, until
from tidegate.gateway import inner
from tidegate.net import reactor
from tidegate.wire import commands, php
from tidegate.wire.packet import HEADER, pack


def greeting(command: int, **says: Any) -> bytes:
    return pack(command, body=json.dumps(says).encode())


def hello(secret_key: str = "") -> bytes:
    return greeting(commands.GATEWAY_CLIENT_CONNECT, secret_key=secret_key)


def counted(place: Place) -> dict[str, Any]:
    extra: dict[str, Any] = place.gateway.snapshot()["extra"]
    return extra


async def is_closed(peer: Client) -> bool:
    """Whether the gateway ends a connection without a word."""
    return await asyncio.wait_for(peer.read_to_end(), 5) == b""


ASK = pack(commands.IS_ONLINE, 1)
WORKER = {"worker_key": "w:0"}
FOREIGN = [
    ASK,
    pack(commands.PING),
    pack(99),
    greeting(commands.GATEWAY_CLIENT_CONNECT),
    greeting(commands.WORKER_CONNECT, **WORKER),
    hello(),
    hello("S3cret"),
    hello("s3cret\x00"),
    hello("s3cret\ud800"),
    greeting(commands.GATEWAY_CLIENT_CONNECT, secret_key=None),
    greeting(commands.GATEWAY_CLIENT_CONNECT, secret_key=["s3cret"]),
    greeting(commands.WORKER_CONNECT, secret_key="", **WORKER),
    greeting(commands.WORKER_CONNECT, secret_key="s3cret"),
    greeting(commands.WORKER_CONNECT, secret_key="s3cret", worker_key=""),
    greeting(commands.WORKER_CONNECT, secret_key="s3cret", worker_key=5),
    greeting(commands.WORKER_CONNECT, secret_key="s3cret", worker_key="k" * 257),
    pack(commands.GATEWAY_CLIENT_CONNECT, body=b"s3cret"),
    pack(commands.GATEWAY_CLIENT_CONNECT, body=b"[" * 10_000),
    pack(commands.WORKER_CONNECT),
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
]


def test_with_a_secret_nobody_comes_in_without_it(run: Runner) -> None:
    async def main() -> None:
        async with gateway(secret_key="s3cret") as place:
            for first in FOREIGN:
                with await Peer.connect(place.inner) as peer:
                    await peer.send(first + ASK)
                    assert await is_closed(peer), first
            assert counted(place)["refused_links"] == len(FOREIGN) - 1  # the last is no packet at all
            with await Peer.connect(place.inner) as peer:
                await peer.send(hello("s3cret") + ASK + hello("s3cret") + ASK + hello("x") + ASK)
                assert [await peer.answer(), await peer.answer()] == [b"i:0;"] * 2
                assert await is_closed(peer)
            with await Peer.worker(place.inner, secret_key="s3cret"):
                assert counted(place)["workers"] == 1

    run(main())


def test_without_a_secret_a_greeting_has_to_show_that_there_is_none(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            for first in (
                hello("x"),
                greeting(commands.GATEWAY_CLIENT_CONNECT),
                greeting(200, secret_key="x", **WORKER),
            ):
                with await Peer.connect(place.inner) as peer:
                    await peer.send(first + ASK)
                    assert await is_closed(peer), first
            with await Peer.connect(place.inner) as peer:  # one without a secret may leave it out
                assert await peer.ask(commands.IS_ONLINE, 1) == b"i:0;"
                await peer.send(pack(commands.PING) + hello() + ASK)
                assert await peer.answer() == b"i:0;"

    run(main())


def test_a_worker_may_not_become_somebody_else(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            for again in (hello(), greeting(commands.WORKER_CONNECT, secret_key="", worker_key="w:1")):
                with await Peer.worker(place.inner) as worker:
                    await worker.send(again)
                    assert await is_closed(worker)
            await until(lambda: counted(place)["workers"] == 0)

    run(main())


def test_who_says_nothing_or_not_enough_in_time_is_closed(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)

    async def main() -> None:
        async with gateway() as place:
            with (
                await Peer.connect(place.inner) as silent,
                await Peer.connect(place.inner) as slow,
                await Peer.connect(place.inner) as kept,
            ):
                assert await kept.ask(commands.IS_ONLINE, 1) == b"i:0;"
                await slow.send(ASK[:-1])
                assert await is_closed(silent)
                assert await is_closed(slow)
                assert await kept.ask(commands.IS_ONLINE, 1) == b"i:0;"
            assert counted(place)["refused_links"] == 2

    run(main())


def raw_packet(size: int, ext_size: int) -> bytes:
    return HEADER.pack(size, commands.IS_ONLINE, 0, 0, 0, 0, 1, 1, 0, ext_size) + bytes(100)


@pytest.mark.parametrize("bad", [raw_packet(27, 0), raw_packet(0, 0), raw_packet(10_485_761, 0), raw_packet(128, 101)])
def test_a_packet_of_no_right_length_closes_the_link_after_what_came_before_it(run: Runner, bad: bytes) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await Peer.connect(place.inner) as peer, await Peer.worker(place.inner) as worker:
                await peer.send(ASK + bad + ASK)
                assert await peer.answer() == b"i:0;"
                assert await is_closed(peer)
                assert await worker.ask(commands.IS_ONLINE, 1) == b"i:0;"

    run(main())


# Whatever is sent


def mutated(chance: random.Random, recorded: bytes) -> bytes:
    data = bytearray(recorded)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                data[:4] = struct.pack("!I", chance.choice([0, 27, 28, len(data), len(data) + 5, 2**32 - 1]))
    return bytes(data)


def recordings() -> list[bytes]:
    from tests.gateway.test_vectors import vector

    steps = vector("gateway_client.json")["steps"] + vector("gateway_client_with_secret.json")["steps"]
    return [bytes.fromhex(step["request"]) for step in steps]


@pytest.mark.parametrize("secret", ["", "s3cret"])
def test_mutated_recordings_and_random_bytes_touch_nobody_else(
    run: Runner, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(f"{secret} 1")  # the same each time
    recorded = recordings()

    async def attack(place: Place) -> None:
        data = chance.randbytes(200) if chance.random() < 0.1 else mutated(chance, chance.choice(recorded))
        with await Peer.connect(place.inner) as peer, contextlib.suppress(ConnectionError):
            await peer.send(data)
            peer.shut()
            await asyncio.wait_for(peer.read_to_end(), 5)

    async def main() -> None:
        async with gateway(secret_key=secret) as place:
            with (
                await Peer.worker(place.inner, secret_key=secret) as worker,
                await WebSocketClient.open(place.port) as client,
            ):
                (number,) = place.gateway.connections  # some other than those recorded
                for _ in range(400):
                    await attack(place)
                assert await client_is_served(worker, client, number)
            await until(lambda: counted(place)["push_clients"] == 0)
        assert not [record for record in caplog.records if record.exc_info]

    run(main())


async def client_is_served(worker: Peer, client: WebSocketClient, number: int) -> bool:
    await client.send_text("still there?")
    while (await worker.event())[0] != commands.ON_MESSAGE:
        pass
    await worker.tell(commands.SEND_TO_ONE, number, body=b"yes")
    while (await client.read_frame())[1] != b"yes":  # what was recorded as sent to all may have come before
        pass
    return True


# Those who do not read


def test_a_push_client_that_reads_no_answers_is_asked_to_wait_and_gets_them_all(run: Runner) -> None:
    async def main() -> None:
        async with clients(1, send_to_worker_limit=200_000) as those:
            await those.do(commands.SET_SESSION, 0, b"x" * 100_000)
            question = pack(commands.GET_SESSION_BY_CLIENT_ID, those.ids[0])
            sending = asyncio.ensure_future(those.push.send(question * 2000))
            (link,) = those.place.gateway._inner._links  # type: ignore[union-attr]
            await until(lambda: link._paused)
            assert link.queued_bytes < 500_000
            await those.sockets[0].send_text("others are served")
            for _ in range(2000):
                assert len(await those.push.answer()) == 100_000
            await sending

    run(main())


def test_a_push_client_that_never_reads_its_answers_is_closed_after_a_while(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(inner, "READ_SECONDS", 5)

    async def main() -> None:
        async with clients(1, send_to_worker_limit=200_000) as those:
            await those.do(commands.SET_SESSION, 0, b"x" * 1_000_000)
            await those.push.send(pack(commands.GET_SESSION_BY_CLIENT_ID, those.ids[0]) * 50)
            await until(lambda: counted(those.place)["push_clients"] == 0)

    run(main())


def test_a_worker_that_asks_and_reads_nothing_is_not_read_from(run: Runner) -> None:
    async def main() -> None:
        async with clients(1, send_to_worker_limit=200_000) as those:
            await those.do(commands.SET_SESSION, 0, b"x" * 100_000)
            with await Peer.worker(those.place.inner, tidegate=1, events=[]) as worker:
                query = pack(commands.GET_SESSION_BY_CLIENT_ID, those.ids[0])
                questions = b"".join(pack(commands.QUERY, number, body=query) for number in range(1, 1001))
                sending = asyncio.ensure_future(worker.send(questions))
                inner_port = those.place.gateway._inner
                assert inner_port is not None
                await until(lambda: any(link._paused for link in inner_port._links))
                for number in range(1, 1001):
                    packet = await worker.packet()
                    assert (packet[0], packet[1], len(packet[4])) == (commands.QUERY, number, 100_000)
                await sending

    run(main())


# What workers are told


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
                assert [(packet[1], packet[3]) for packet in packets] == [(7, inner.MORE), (7, b"")]
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

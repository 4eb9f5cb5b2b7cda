"""The inner port: who may come in, and what becomes of those who send what they should not, or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from typing import Any

import pytest

from tests.gateway.clients import clients, counted, is_closed
from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Runner, WebSocketClient, until
from tidegate.gateway import inner
from tidegate.net import reactor
from tidegate.wire import commands
from tidegate.wire.packet import HEADER, pack


def greeting(command: int, **says: Any) -> bytes:
    return pack(command, body=json.dumps(says).encode())


def hello(secret_key: str = "") -> bytes:
    return greeting(commands.GATEWAY_CLIENT_CONNECT, secret_key=secret_key)


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
            assert counted(place)["refused_links"] == len(FOREIGN)
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
                for _ in range(400):
                    await attack(place)
                assert await are_served(place, worker, client)
            await until(lambda: counted(place)["push_clients"] == 0)
        assert not [record for record in caplog.records if record.exc_info]

    run(main())


async def are_served(place: Place, worker: Peer, client: WebSocketClient) -> bool:
    """A client that was there, to which anything may have been sent, and one that comes now."""
    await client.send_text("still there?")
    while (await worker.event())[2] != b"still there?":
        pass
    with await WebSocketClient.open(place.port) as late:
        command, number, _ = await worker.event()
        assert command == commands.ON_CONNECT
        await worker.tell(commands.SEND_TO_ONE, number, body=b"yes")
        return await late.read_text() == "yes"


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

"""Workers that do not read, die or come late: clients wait, and nothing of theirs is lost or twice."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest

from tests.clients import client_frame
from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Client, Runner, WebSocketClient, until
from tidegate.net import reactor
from tidegate.wire import commands

LIMIT = 200_000
COUNT = 2500
"""Of large messages, more than the system's buffers on the way take."""


def progress(started: int, finished: int) -> bytes:
    return struct.pack("!QQ", started, finished)


def queued(place: Place) -> int:
    """Bytes that wait for workers."""
    inner = place.gateway._inner
    assert inner is not None
    return sum(link.queued_bytes for link in inner._links)


@pytest.mark.parametrize("is_tidegate", [False, True], ids=["php", "tidegate"])
def test_a_worker_that_does_not_read_stops_its_clients_and_gets_all_once_it_reads(
    run: Runner, is_tidegate: bool
) -> None:
    more = {"tidegate": 1} if is_tidegate else {}
    frame = (20_004).to_bytes(4) + b"x" * 20_000

    async def served(worker: Peer) -> contextlib.nullcontext[None]:
        assert (await worker.event())[0] == commands.ON_CONNECT
        return contextlib.nullcontext()

    async def started(worker: Peer, count: int) -> None:
        if is_tidegate:
            await worker.tell(commands.PROGRESS, body=progress(count, count))

    async def main() -> None:
        async with gateway("frame://127.0.0.1:0", send_to_worker_limit=LIMIT) as place:
            with (
                await Peer.worker(place.inner, "a:0", secret_key="", **more) as stuck,
                await Client.connect(place.port) as client,
                await served(stuck),
                await Peer.worker(place.inner, "b:0", secret_key="", **more) as other,
                await Client.connect(place.port) as its_client,
                await served(other),
            ):
                flood = asyncio.ensure_future(client.send(frame * COUNT))
                # What one of Tidegate's has not started counts, also where the system has taken it.
                least = 0 if is_tidegate else LIMIT // 2
                await until(
                    lambda: any(peer.held_up for peer in place.gateway.router._ready) and queued(place) >= least
                )
                for turn in range(30):
                    await its_client.send(b"\0\0\0\x07%3d" % turn)
                    assert (await other.event())[2] == b"%3d" % turn
                    await started(other, turn + 2)
                assert queued(place) < LIMIT + 2 * reactor.READ_BUFFER_SIZE
                assert not flood.done()
                for taken in range(COUNT):
                    assert (await stuck.event())[2] == frame[4:]
                    if taken % 5 == 0:
                        await started(stuck, taken + 2)
                await flood

    run(main())


def test_while_a_worker_starts_nothing_its_clients_wait_although_it_reads(run: Runner) -> None:
    async def main() -> None:
        async with gateway("frame://127.0.0.1:0", send_to_worker_limit=LIMIT) as place:
            with await Peer.worker(place.inner, tidegate=1) as worker, await Client.connect(place.port) as client:
                assert (await worker.event())[0] == commands.ON_CONNECT
                frame = (1004).to_bytes(4) + b"x" * 1000
                flood = asyncio.ensure_future(client.send(frame * 20_000))
                taken = 0
                window = place.gateway.router._peers["127.0.0.1:test:0"].window
                while taken < 20_000:
                    await worker.event()
                    taken += 1
                    assert window.weight < LIMIT + 2 * reactor.READ_BUFFER_SIZE
                    if not worker._packets and taken + 1 == window.sent:  # no more comes by itself
                        await worker.tell(commands.PROGRESS, body=progress(window.sent, window.sent))
                await flood

    run(main())


def test_what_a_killed_worker_had_not_started_goes_to_another_in_order(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            dying = await Peer.worker(place.inner, "a:0", tidegate=1)
            with await Client.connect(place.port) as client:
                assert (await dying.event())[0] == commands.ON_CONNECT
                await client.send(b"".join(b"%d\n" % turn for turn in range(1000)))
                for turn in range(1000):
                    assert (await dying.event())[2] == b"%d" % turn
                client.sock.close()
                assert (await dying.event())[0] == commands.ON_CLOSE
                await dying.tell(commands.PROGRESS, body=progress(11, 8))
                await dying.tell(commands.QUERY, 1, body=b"")  # nothing comes of it
                await until(lambda: place.gateway.snapshot()["extra"]["bad_commands"] == 1)
                dying.reset()
                await until(lambda: not place.gateway.router._ready)
                with await Peer.worker(place.inner, "b:0", tidegate=1) as heir:
                    for turn in range(10, 1000):
                        assert (await heir.event())[2] == b"%d" % turn
                    assert (await heir.event())[0] == commands.ON_CLOSE
                    await heir.silent()
                extra = place.gateway.snapshot()["extra"]
                assert (extra["events_lost"], extra["events_resent"]) == (3, 991)

    run(main())


def test_what_was_with_a_worker_that_died_is_marked_for_the_next_of_tidegates(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            dying = await Peer.worker(place.inner, "a:0", tidegate=1)
            with await Client.connect(place.port) as client:
                await client.send(b"old\n")
                for _ in range(2):
                    assert not (await dying.packet())[2] & commands.AGAIN
                dying.reset()
                await until(lambda: not place.gateway.router._ready)
                await client.send(b"new\n")
                heir = await Peer.worker(place.inner, "b:0", tidegate=1)
                marked = [bool((await heir.packet())[2] & commands.AGAIN) for _ in range(3)]
                assert marked == [True, True, False]
                heir.reset()
                with await Peer.connect(place.inner) as original:
                    await original.tell(commands.WORKER_CONNECT, body=b'{"worker_key":"a:0","secret_key":""}')
                    assert [(await original.packet())[2] for _ in range(3)] == [commands.SCALAR] * 3

    run(main())


def test_without_a_worker_a_client_waits_and_is_then_told_to_try_again(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)

    async def main() -> None:
        async with gateway(worker_wait_seconds=0.3) as place:
            with await WebSocketClient.open(place.port) as client:
                await client.send_text("anybody?")
                begun = asyncio.get_running_loop().time()
                code, reason = await client.read_close()
                assert (code, bool(reason)) == (1013, True)
                assert asyncio.get_running_loop().time() - begun > 0.25
                await client.send(client_frame(0x88, (1013).to_bytes(2)))
                assert await client.read_to_end() == b""
            extra = place.gateway.snapshot()["extra"]
            assert (extra["events_dropped"], extra["clients_waiting"]) == (3, 0)
            with await Peer.worker(place.inner) as worker:
                await worker.silent()  # it never was here

    run(main())


def test_where_no_more_may_wait_a_client_is_told_at_once_and_no_worker_hears_of_it(run: Runner) -> None:
    async def main() -> None:
        async with gateway(worker_wait_limit=1) as place:
            with await WebSocketClient.open(place.port) as client:
                assert (await client.read_close())[0] == 1013
                await client.send(client_frame(0x88, (1013).to_bytes(2)))
                await client.read_to_end()
            await until(lambda: not place.gateway.connections)
            extra = place.gateway.snapshot()["extra"]
            assert (extra["events_dropped"], extra["clients_waiting"]) == (2, 0)
            with await Peer.worker(place.inner) as worker:
                await worker.silent()

    run(main())


def test_a_worker_that_comes_in_time_gets_all_that_waited(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await WebSocketClient.open(place.port) as client:
                await client.send(b"".join(client_frame(0x81, b"%d" % turn) for turn in range(500)))
                await until(lambda: place.gateway.snapshot()["extra"]["clients_waiting"])
                with await Peer.connect(place.inner) as worker:
                    await worker.tell(commands.WORKER_CONNECT, body=b'{"worker_key":"a:0","secret_key":""}')
                    assert [(await worker.event())[0] for _ in range(2)] == [1, 205]
                    for turn in range(500):
                        assert (await worker.event())[2] == b"%d" % turn
                    await client.send_text("more")
                    assert (await worker.event())[2] == b"more"

    run(main())


def test_a_message_that_makes_too_large_a_packet_closes_its_client_and_not_the_worker(run: Runner) -> None:
    async def main() -> None:
        async with gateway(max_packet_size=10_000) as place:
            with (
                await Peer.worker(place.inner) as worker,
                await WebSocketClient.open(place.port) as client,
                await WebSocketClient.open(place.port) as other,
            ):
                for _ in range(4):
                    await worker.event()
                await client.send(client_frame(0x81, b"x" * 9_972))
                assert len((await worker.event())[2]) == 9_972
                await client.send(client_frame(0x81, b"x" * 9_973))
                assert (await client.read_close())[0] == 1009
                await other.send_text("here")
                assert (await worker.event())[2] == b"here"
                assert place.gateway.snapshot()["extra"]["events_too_big"] == 1

    run(main())

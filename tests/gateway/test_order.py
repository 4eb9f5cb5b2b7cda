"""Push clients that come for one command each: all of it is carried out, in the order in which they came."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.clients import client_frame
from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Client, Runner, WebSocketClient, until
from tidegate.gateway import arrivals
from tidegate.wire import commands
from tidegate.wire.packet import pack

T = TypeVar("T")


def push(port: int, data: bytes) -> None:
    """As `GatewayClient` of PHP does it: connect, send, hang up."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(data)


async def in_thread(work: Callable[[], T]) -> T:
    """Do something beside the gateway, which may block."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def message(turn: int, size: int = 0) -> bytes:
    return b"%d " % turn + b"x" * size


@pytest.mark.parametrize(
    ("pushes", "sizes"),
    [(1500, (0,)), (120, (0, 300_000, 10, 70_000)), (30, (0, 1_500_000)), (300, (0, 30_000, 100_000))],
    ids=["small", "large", "very-large", "middle"],
)
def test_what_one_program_pushes_one_after_the_other_arrives_so(
    run: Runner, pushes: int, sizes: tuple[int, ...]
) -> None:
    packets = [pack(commands.SEND_TO_ALL, body=message(turn, sizes[turn % len(sizes)])) for turn in range(pushes)]

    async def main() -> None:
        async with gateway("frame://127.0.0.1:0", send_buffer_limit=1 << 30) as place:
            with await Client.connect(place.port) as client:
                while len(place.gateway.connections) < 1:
                    await asyncio.sleep(0)

                def work() -> None:
                    for packet in packets:
                        push(place.inner, packet)

                working = asyncio.ensure_future(in_thread(work))
                for turn in range(pushes):
                    length = int.from_bytes(await client.read(4))
                    body = await client.read(length - 4)
                    assert body == message(turn, sizes[turn % len(sizes)]), (turn, body[:10])
                await working

    run(main())


def test_connections_that_wait_to_be_accepted_are_served_in_their_order(run: Runner) -> None:
    async def main() -> None:
        async with gateway("frame://127.0.0.1:0") as place:
            with await Client.connect(place.port) as client:
                while len(place.gateway.connections) < 1:
                    await asyncio.sleep(0)
                for turn in range(300):  # in the gateway's own thread, so that all of them are there at once
                    push(place.inner, pack(commands.SEND_TO_ALL, body=message(turn)))
                for turn in range(300):
                    length = int.from_bytes(await client.read(4))
                    assert await client.read(length - 4) == message(turn)

    run(main())


def test_commands_behind_a_large_one_on_one_connection_are_all_carried_out(run: Runner) -> None:
    async def main() -> None:
        async with gateway("frame://127.0.0.1:0", send_buffer_limit=1 << 30) as place:
            with await Client.connect(place.port) as client:
                while len(place.gateway.connections) < 1:
                    await asyncio.sleep(0)
                data = b"".join(pack(commands.SEND_TO_ALL, body=message(turn, 5000)) for turn in range(2000))
                working = asyncio.ensure_future(in_thread(lambda: push(place.inner, data)))
                for turn in range(2000):
                    length = int.from_bytes(await client.read(4))
                    assert await client.read(length - 4) == message(turn, 5000)
                await working

    run(main())


def test_a_backends_pushes_reach_a_browser_in_the_order_of_each_backend(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await WebSocketClient.open(place.port) as client:

                def work(name: int) -> None:
                    for turn in range(150):
                        push(place.inner, pack(commands.SEND_TO_ALL, body=b"%d %d" % (name, turn)))

                threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
                for thread in threads:
                    thread.start()
                seen = [0] * 4
                for _ in range(600):
                    name, turn = map(int, (await client.read_text()).split())
                    assert turn == seen[name]
                    seen[name] += 1
                for thread in threads:
                    thread.join()

    run(main())


def test_a_clients_messages_reach_its_worker_in_order(run: Runner) -> None:
    async def main() -> None:
        async with gateway() as place:
            with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port) as client:
                frames = b"".join(client_frame(0x81, b"%d" % turn) for turn in range(10_000))
                sending = asyncio.ensure_future(client.send(frames))
                assert [(await worker.event())[0] for _ in range(2)] == [1, 205]
                for turn in range(10_000):
                    assert (await worker.event())[2] == b"%d" % turn
                await sending

    run(main())


LARGE = pack(commands.SEND_TO_ONE, 1, body=b"x" * 300_000)


async def send_a_part(place: Place, peer: Peer, data: bytes) -> None:
    """Send a part of a packet, and see it taken in."""
    await peer.send(data)
    inner = place.gateway._inner
    assert inner is not None
    await until(lambda: any(link._packets.is_amid for link in inner._links))


def test_one_that_goes_amid_a_command_holds_nobody_up(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 1000)

    async def main() -> None:
        async with gateway() as place:
            with await Peer.connect(place.inner) as slow, await Peer.connect(place.inner) as other:
                await send_a_part(place, slow, LARGE[:100_000])
                await other.tell(commands.IS_ONLINE, 1)
                await other.silent()
                slow.sock.close()
                assert await other.answer() == b"i:0;"

    run(main())


def test_others_wait_for_the_rest_of_a_command_but_not_for_long(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 0.1)

    async def main() -> None:
        async with gateway() as place:
            with (
                await Peer.worker(place.inner) as worker,
                await Peer.connect(place.inner) as kept,
                await Peer.connect(place.inner) as idle,
            ):
                assert await kept.ask(commands.IS_ONLINE, 1) == b"i:0;"
                peers = [await Peer.connect(place.inner) for _ in range(3)]
                await send_a_part(place, peers[0], LARGE[:-1])
                for peer in peers[1:]:
                    await peer.tell(commands.IS_ONLINE, 1)
                assert await kept.ask(commands.IS_ONLINE, 1) == b"i:0;"  # it came before
                assert await worker.ask(commands.IS_ONLINE, 1) == b"i:0;"
                with await Peer.worker(place.inner, "late:0", tidegate=1):
                    for peer in peers[1:]:
                        assert await peer.answer() == b"i:0;"
                await peers[0].send(LARGE[-1:])
                assert await peers[0].ask(commands.IS_ONLINE, 1) == b"i:0;"
                assert await idle.ask(commands.IS_ONLINE, 1) == b"i:0;"
                for peer in peers:
                    peer.sock.close()

    run(main())


def test_many_that_end_no_command_are_waited_for_together(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 0.3)

    async def main() -> None:
        async with gateway() as place:
            slow = [await Peer.connect(place.inner) for _ in range(8)]
            for peer in slow:
                await peer.send(LARGE[:1000])
            inner = place.gateway._inner
            assert inner is not None
            await until(lambda: sum(link._packets.is_amid for link in inner._links) == len(slow))
            begun = asyncio.get_running_loop().time()
            with await Peer.connect(place.inner) as other:
                assert await other.ask(commands.IS_ONLINE, 1) == b"i:0;"
            assert asyncio.get_running_loop().time() - begun < 4 * 0.3
            for peer in slow:
                peer.sock.close()

    run(main())


def test_a_stranger_holds_nobody_up(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 1000)

    async def main() -> None:
        async with gateway(secret_key="s3cret") as place:
            with await Peer.connect(place.inner) as stranger, await Peer.connect(place.inner) as peer:
                await send_a_part(place, stranger, pack(commands.SEND_TO_ONE, 1, body=b"x" * 60_000)[:-1])
                hello = pack(commands.GATEWAY_CLIENT_CONNECT, body=b'{"secret_key":"s3cret"}')
                await peer.send(hello + pack(commands.IS_ONLINE, 1))
                assert await peer.answer() == b"i:0;"

    run(main())


def test_what_waits_when_the_gateway_stops_is_carried_out(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE", 1000)

    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with await Peer.connect(place.inner) as slow, await Peer.connect(place.inner) as other:
                await send_a_part(place, slow, LARGE[:-1])
                await other.tell(commands.IS_ONLINE, 1)
                await other.silent()
                stopping = asyncio.ensure_future(place.gateway.stop(seconds=1, whole=True))
                assert await other.answer() == b"i:0;"
                await stopping

    run(main())

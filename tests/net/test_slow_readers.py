"""Clients that do not read, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from tests.net.support import Client, Runner, WebSocketClient, serving, stats, turns, until
from tidegate import Connection, Worker

BLOB = b"x" * 64_000


async def only(worker: Worker) -> Connection:
    await until(lambda: worker.connections)
    (connection,) = worker.connections.values()
    return connection


async def fill(connection: Connection) -> int:
    """Send until no more is taken; gives how many messages were."""
    sent = 0
    while connection.send(BLOB):
        sent += 1
        await asyncio.sleep(0)
    return sent


def test_a_client_that_does_not_read_is_closed_and_the_others_get_everything(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("frame://127.0.0.1:0", send_buffer_limit=256_000)
        full: list[int] = []
        closed: list[int] = []
        worker.on_buffer_full = lambda connection: full.append(connection.id)
        worker.on_close = lambda connection: closed.append(connection.id)
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as slow, await Client.connect(port) as quick:
                await until(lambda: len(worker.connections) == 2)
                (slow_id,) = (c.id for c in worker.connections.values() if c.remote_port == slow.port)
                while not closed:
                    for connection in worker.connections.values():
                        connection.send(BLOB)
                    # The quick one has each message before the next is sent, however slow the other is.
                    assert await quick.read(4 + len(BLOB)) == (4 + len(BLOB)).to_bytes(4) + BLOB
                assert full == closed == [slow_id]
                assert stats(worker)["slow_consumers"] == 1
                assert stats(worker)["send_failures"] >= 1
                assert len(worker.connections) == 1
                await slow.read_to_end()

    run(main())


def test_with_drop_the_connection_lives_and_is_told_when_it_drains(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", send_buffer_limit=256_000, slow_consumer="drop")
        events: list[str] = []
        worker.on_buffer_full = lambda connection: events.append("full")
        worker.on_buffer_drain = lambda connection: events.append("drain")
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = await fill(connection)
                assert events == ["full"]
                assert not connection.send(BLOB)
                assert stats(worker)["send_failures"] == 2
                assert connection.queued_bytes <= 256_000
                assert await client.read(sent * len(BLOB)) == BLOB * sent
                await until(lambda: events == ["full", "drain"])
                assert connection.send(b"after")
                assert await client.read(5) == b"after"
                assert stats(worker)["messages_out"] == sent + 1

    run(main())


def test_what_was_taken_before_the_limit_arrives_in_order(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", send_buffer_limit=100_000, slow_consumer="drop")
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = []
                number = 0
                while True:
                    line = f"{number} " + "x" * (number * 37 % 3000)
                    if not connection.send(line):
                        break
                    sent.append(line)
                    number += 1
                    if number % 10 == 0:
                        await asyncio.sleep(0)
                connection.send("end")
                assert [await client.read_line() for _ in sent] == sent

    run(main())


def test_a_burst_far_over_the_limit_reaches_a_client_that_reads(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", send_buffer_limit=100_000)
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4 * 1024 * 1024) as client:
                connection = await only(worker)
                # Ten times the limit in one turn, and less than the system's buffers hold.
                assert all(connection.send(b"x" * 1000) for _ in range(1000))
                assert await client.read(1_000_000) == b"x" * 1_000_000
                assert connection.is_open

    run(main())


def test_close_waits_for_a_slow_client_to_take_what_is_queued(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", slow_consumer="drop")
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = await fill(connection)
                connection.close()
                assert not connection.is_open
                assert await client.read_to_end() == BLOB * sent
                client.sock.close()
                await until(lambda: not worker.connections)

    run(main())


def test_close_goes_on_when_the_client_has_shut_its_sending_side(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", slow_consumer="drop")
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = await fill(connection)
                connection.close()
                client.shut()
                await turns(20)
                assert await client.read_to_end() == BLOB * sent
                await until(lambda: not worker.connections)

    run(main())


def test_a_websocket_that_half_closes_still_gets_what_was_queued(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", slow_consumer="drop")
        async with serving(worker) as port:
            with await WebSocketClient.open(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = await fill(connection)
                client.shut()
                for _ in range(sent):
                    assert await client.read_frame() == (0x82, BLOB)
                await until(lambda: not worker.connections)

    run(main())


@pytest.mark.usefixtures("hurry")
def test_close_gives_up_on_a_client_that_never_reads(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0", slow_consumer="drop", close_timeout=1)
        closed: list[Connection] = []
        worker.on_close = closed.append
        async with serving(worker) as port:
            with await Client.connect(port, receive_buffer=4096) as client:
                connection = await only(worker)
                sent = await fill(connection)
                connection.close()
                await until(lambda: closed == [connection])
                assert stats(worker)["send_failures"] > 1
                assert len(await client.read_to_end()) < sent * len(BLOB)

    run(main())


def test_pings_unread_end_a_connection_instead_of_piling_up(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", send_buffer_limit=10_000, slow_consumer="drop")
        async with serving(worker) as port:
            with await WebSocketClient.open(port, receive_buffer=4096):
                connection = await only(worker)
                await fill(connection)
                while connection.is_open:
                    connection.ping(b"x" * 125)
                    await asyncio.sleep(0)
                await until(lambda: not worker.connections)

    run(main())

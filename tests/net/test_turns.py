"""Clients that send megabytes at once, and those beside them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.net.support import Client, Runner, serving, until
from tidegate import Connection, Worker

READ = 16 * 1024


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system keeps of a connection is many times as much."""
    monkeypatch.setattr("tidegate.net.reactor.READ_BUFFER_SIZE", READ)
    monkeypatch.setattr("tidegate.net.connection.READ_BUFFER_SIZE", READ)


def test_one_that_sends_megabytes_at_once_lets_others_have_their_turn(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0")
        came: dict[int, int] = {}
        ahead: list[int] = []

        def receive(connection: Connection, data: bytes) -> None:
            came[connection.remote_port] = came.get(connection.remote_port, 0) + len(data)
            if data == b"a word":
                ahead.append(came.get(loud.port, 0))

        worker.on_message = receive
        async with serving(worker) as port:
            with await Client.connect(port) as loud, await Client.connect(port) as quiet:
                await until(lambda: len(worker.connections) == 2)
                sent = 0
                with contextlib.suppress(BlockingIOError):  # until the system takes no more, and nobody has read any
                    while True:
                        sent += loud.sock.send(bytes(READ))
                assert sent > 6 * READ
                quiet.sock.send(b"a word")
                await until(lambda: came.get(loud.port) == sent)
                assert ahead
                assert ahead[0] <= 2 * READ

    run(main())


def test_one_that_is_paused_in_the_turn_of_a_full_read_stays_so(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0")
        came: list[int] = []

        def receive(connection: Connection, data: bytes) -> None:
            came.append(len(data))
            if len(came) == 1:
                asyncio.get_running_loop().call_soon(connection.pause)

        worker.on_message = receive
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await until(lambda: worker.connections)
                (connection,) = worker.connections.values()
                client.sock.send(bytes(2 * READ))
                await until(lambda: came)
                for _ in range(20):
                    await asyncio.sleep(0.001)
                assert sum(came) <= READ
                connection.resume()
                await until(lambda: sum(came) >= 2 * READ)

    run(main())

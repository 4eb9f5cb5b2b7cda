"""How much a client may send: what comes too fast waits, or ends the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clients import client_frame
from tests.net.support import CERTIFICATE, KEY, Client, Runner, SecureClient, WebSocketClient, serving, stats, until
from tidegate import Connection, Worker
from tidegate.net.endpoint import Limits
from tidegate.net.meter import BURST_SECONDS, Meter


def counting(address: str = "text://127.0.0.1:0", **limits: Any) -> tuple[Worker, list[str | bytes]]:
    worker = Worker(address, **limits)
    received: list[str | bytes] = []
    worker.on_message = lambda connection, message: received.append(message)
    return worker, received


@settings(max_examples=60)
@given(
    st.integers(1, 1000),
    st.integers(1, 100_000),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500), st.integers(0, 10_000)), max_size=50),
)
def test_over_any_time_no_more_is_allowed_than_the_rate_and_a_burst(
    rate: int, size: int, reads: list[tuple[float, int, int]]
) -> None:
    meter = Meter(Limits(messages_per_second=rate, bytes_per_second=size), 0.0)
    now, taken, spent = 0.0, 0, 0
    for pause, count, read in reads:
        now += pause
        taken += meter.take(count, now)
        assert taken <= rate * (now + BURST_SECONDS) + 0.001
        is_right = meter.spend(read, now)
        spent += read
        assert not is_right or spent <= size * (now + BURST_SECONDS) + 0.001
        if not is_right:
            now += meter.seconds + 0.001
            assert meter.spend(0, now)


def test_without_a_bound_connections_are_as_always() -> None:
    assert not Limits().are_metered
    assert Meter(Limits(messages_per_second=1), 0).spend(10**9, 0)
    assert Meter(Limits(bytes_per_second=1), 0).take(10**9, 0) == 10**9


def test_what_comes_too_fast_is_handled_in_its_time_all_of_it_and_in_order(run: Runner) -> None:
    async def main() -> None:
        worker, received = counting(max_messages_per_second=200)
        async with serving(worker) as port:
            begun = asyncio.get_running_loop().time()
            with await Client.connect(port) as client:
                await client.send(b"".join(b"%d\n" % number for number in range(460)))
                await until(lambda: len(received) >= 400)
                assert len(received) < 460  # the burst, and little more
                (connection,) = worker.connections.values()
                assert connection.idle_seconds == 0
                with await Client.connect(port) as other:
                    await other.send(b"nobody else waits\n")
                    await until(lambda: "nobody else waits" in received)
                received.remove("nobody else waits")
                await until(lambda: len(received) == 460)
            assert received == [str(number) for number in range(460)]
            assert asyncio.get_running_loop().time() - begun > 0.25
            counted = stats(worker)
            assert counted["rate_pauses"] >= 1
            assert (counted["rate_closes"], counted["dropped_messages"]) == (0, 0)

    run(main())


def test_too_many_bytes_make_a_client_wait_too(run: Runner) -> None:
    async def main() -> None:
        worker, received = counting("tcp://127.0.0.1:0", max_bytes_per_second=50_000)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                begun = asyncio.get_running_loop().time()
                await client.send(bytes(120_000))
                await until(lambda: sum(map(len, received)) == 120_000)
                assert 0.3 < asyncio.get_running_loop().time() - begun < 5
                assert stats(worker)["rate_pauses"] >= 1

    run(main())


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        ({"max_messages_per_second": 5}, client_frame(0x81, b"x") * 50),
        ({"max_bytes_per_second": 50}, client_frame(0x81, bytes(2000))),
        ({"max_bytes_per_second": 50}, client_frame(0x89, b"ping") * 100),  # control frames are bytes as well
    ],
)
def test_or_a_client_is_closed(run: Runner, limits: dict[str, int], data: bytes) -> None:
    async def main() -> None:
        worker, received = counting("websocket://127.0.0.1:0", over_rate="close", **limits)
        async with serving(worker) as port:
            with await WebSocketClient.open(port) as client:
                await client.send(data)
                while (frame := await client.read_frame())[0] == 0x8A:
                    pass
                assert frame[0] == 0x88
                assert frame[1][:2] == (1008).to_bytes(2)
            counted = stats(worker)
            assert (counted["rate_closes"], counted["rate_pauses"]) == (1, 0)
            if "max_messages_per_second" in limits:
                assert received == ["x"] * 10
                assert counted["dropped_messages"] == 40

    run(main())


@pytest.mark.parametrize("how", ["shut", "close"])
def test_what_a_client_has_said_before_it_left_is_handled(run: Runner, how: str) -> None:
    async def main() -> None:
        worker, received = counting(max_messages_per_second=100)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"x\n" * 220)
                client.shut() if how == "shut" else client.sock.close()
                await until(lambda: len(received) == 220)
            await until(lambda: not worker.connections)

    run(main())


def test_what_waits_where_the_connection_is_closed_here_is_counted(run: Runner) -> None:
    async def main() -> None:
        worker, received = counting(max_messages_per_second=10)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"x\n" * 40)
                await until(lambda: len(received) == 20)
                (connection,) = worker.connections.values()
                connection.close()
                assert await client.read_to_end() == b""
            await until(lambda: not worker.connections)
            assert stats(worker)["dropped_messages"] == 20
            assert len(received) == 20

    run(main())


def test_a_handler_that_pauses_too_is_not_called_before_its_time(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", max_messages_per_second=50)
        received: list[str] = []

        @worker.on_message
        async def receive(connection: Connection, line: str) -> None:
            received.append(line)
            if len(received) in (50, 101):
                connection.pause()
                await asyncio.sleep(0.01)
                connection.resume()

        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"".join(b"%d\n" % number for number in range(130)))
                await until(lambda: len(received) == 130)
                await client.send(b"130\n")
                await until(lambda: len(received) == 131)
            assert received == [str(number) for number in range(131)]

    run(main())


def test_tls_is_metered_as_well(run: Runner) -> None:
    async def main() -> None:
        worker, received = counting(max_messages_per_second=50, ssl=(CERTIFICATE, KEY))
        async with serving(worker) as port:
            client = await SecureClient.connect(port)
            client.writer.write(b"".join(b"%d\n" % number for number in range(120)))
            await until(lambda: len(received) == 120)
            assert received == [str(number) for number in range(120)]
            assert stats(worker)["rate_pauses"] >= 1
            await client.close()

    run(main())

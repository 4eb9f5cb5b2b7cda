"""Heartbeats: who is asked, when, and who is closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients import client_frame
from tests.gateway.support import Peer, gateway
from tests.net.support import Client, Runner, WebSocketClient, until
from tidegate.gateway import heartbeat
from tidegate.gateway.heartbeat import Heartbeat
from tidegate.net.reactor import Reactor
from tidegate.wire import commands

PONG = client_frame(0x8A, b"")


class Silent:
    """A connection as far as heartbeats go; notes the sweep at which something was done to it."""

    def __init__(self, sweeps: list[int]) -> None:
        self._sweeps = sweeps
        self.last_read = 0.0
        self.is_open = True
        self.is_paused = False
        self.asked: list[int] = []
        self.closed: int | None = None

    def ping(self) -> None:
        self.asked.append(len(self._sweeps))

    def send(self, data: Any) -> None:
        self.ping()

    def close(self, *, code: int, reason: str) -> None:
        assert code == 1008
        self.closed = len(self._sweeps)
        self.is_open = False


@pytest.mark.parametrize("data", [None, "ping"])
@pytest.mark.parametrize(
    ("limit", "asked", "closed"),
    [
        (0, [2, 3, 4, 5, 6, 7, 8, 9], None),  # sweeps are an interval apart
        (1, [3], 4),  # half an interval apart
        (2, [3, 5], 6),
        (3, [3, 5, 7], 8),
    ],
)
def test_a_silent_client_is_asked_and_closed_as_by_the_original(
    limit: int, asked: list[int], closed: int | None, data: str | None
) -> None:
    async def main() -> None:
        sweeps: list[int] = []
        silent = Silent(sweeps)
        beat = Heartbeat(lambda: [silent], 1000, limit, data)  # type: ignore[list-item]
        now = beat._reactor.now
        silent.last_read = now
        beat._reactor.advance = lambda: now + len(sweeps)  # type: ignore[method-assign]
        while len(sweeps) < 9:
            sweeps.append(1)
            beat._timer.cancel()
            beat._sweep()
        beat._timer.cancel()
        assert (silent.asked, silent.closed) == (asked, closed)
        assert beat.closed == (closed is not None)
        beat.stop()

    asyncio.run(main())


def test_tens_of_thousands_are_asked_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "CLIENTS_A_TURN", 10)

    async def main() -> None:
        sweeps = [1]
        clients = [Silent(sweeps) for _ in range(95)]
        beat = Heartbeat(lambda: clients, 1000, 0, None)  # type: ignore[arg-type, return-value]
        for client in clients:
            client.last_read = beat._reactor.now - 1
        beat._timer.cancel()
        beat._sweep()
        assert sum(len(client.asked) for client in clients) == 10
        await until(lambda: clients[-1].asked)
        assert all(len(client.asked) == 1 for client in clients)
        beat.stop()
        assert asyncio.get_running_loop() not in Reactor._running

    asyncio.run(main())


def test_a_browser_that_answers_pings_stays_and_one_that_does_not_is_closed(run: Runner) -> None:
    async def main() -> None:
        async with gateway(ping_interval=0.1, ping_not_response_limit=2) as place:
            with (
                await Peer.worker(place.inner) as worker,
                await WebSocketClient.open(place.port) as browser,
                await WebSocketClient.open(place.port) as silent,
            ):
                begun = asyncio.get_running_loop().time()

                async def answer() -> None:
                    while True:
                        assert await browser.read_frame() == (0x89, b"")
                        await browser.send(PONG)

                answering = asyncio.ensure_future(answer())
                frames = [await silent.read_frame() for _ in range(3)]
                assert [frame[0] for frame in frames] == [0x89, 0x89, 0x88]
                assert frames[2][1][:2] == (1008).to_bytes(2)
                assert asyncio.get_running_loop().time() - begun > 0.2 * 0.9
                silent.sock.close()
                await until(lambda: len(place.gateway.connections) == 1)
                await asyncio.sleep(0.5)  # longer than a silent one has
                assert len(place.gateway.connections) == 1
                answering.cancel()
                await asyncio.wait({answering})
                assert [(await worker.event())[0] for _ in range(5)] == [1, 205, 1, 205, 4]
                assert place.gateway.snapshot()["extra"]["silent_clients"] == 1

    run(main())


def test_ping_data_is_a_message_of_the_protocol(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0", ping_interval=0.05, ping_data="are you there?") as place:
            with await Client.connect(place.port) as client:
                assert await client.read_line() == "are you there?"
                await client.send(b"yes\n")
                assert await client.read_line() == "are you there?"
                assert await client.read_to_end() in (b"", b"are you there?\n")

    run(main())


def test_where_there_is_nothing_to_ask_with_clients_have_to_speak(run: Runner) -> None:
    async def main() -> None:
        async with gateway("text://127.0.0.1:0", ping_interval=0.1, ping_not_response_limit=1) as place:
            with await Client.connect(place.port) as silent, await Client.connect(place.port) as talker:
                ended = asyncio.ensure_future(silent.read_to_end())
                while not ended.done():
                    await talker.send(b"x\n")
                    await asyncio.sleep(0.01)
                assert ended.result() == b""
                assert [client.is_open for client in place.gateway.connections.values()][-1]

    run(main())


@pytest.mark.parametrize(
    ("address", "settings", "interval"),
    [
        ("websocket://127.0.0.1:0", {}, 12.5),
        ("websocket://127.0.0.1:0", {"ping_not_response_limit": 0}, 25),
        ("websocket://127.0.0.1:0", {"ping_interval": 0}, None),
        ("text://127.0.0.1:0", {}, None),
        ("text://127.0.0.1:0", {"ping_data": "x"}, 12.5),
        ("text://127.0.0.1:0", {"ping_interval": 10}, 5),
    ],
)
def test_heartbeats_are_on_by_default_where_browsers_answer_by_themselves(
    run: Runner, address: str, settings: dict[str, Any], interval: float | None
) -> None:
    async def main() -> None:
        async with gateway(address, **settings) as place:
            beat = place.gateway._heartbeat
            assert (beat._pause if beat else None) == interval

    run(main())


def test_a_client_that_is_not_read_from_is_not_counted_silent(run: Runner) -> None:
    async def main() -> None:
        async with gateway(
            "text://127.0.0.1:0", ping_interval=0.04, ping_not_response_limit=1, worker_wait_limit=10**9
        ) as place:
            with await Client.connect(place.port) as client:
                await client.send(b"x\n" * 200)  # there is no worker: it is read from no more
                await until(lambda: place.gateway.connections)
                (connection,) = place.gateway.connections.values()
                await until(lambda: connection._paused)
                await asyncio.sleep(0.3)
                with await Peer.worker(place.inner, tidegate=1) as worker:
                    assert (await worker.event())[0] == commands.ON_CONNECT
                    for _ in range(200):
                        assert (await worker.event())[0] == commands.ON_MESSAGE
                    await client.send(b"still here\n")
                    assert (await worker.event())[2] == b"still here"

    run(main())

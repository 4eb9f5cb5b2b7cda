"""Handshakes that wait for a judgement: by origin, and by a function that may take its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients import client_frame, upgrade_request
from tests.net.support import Client, Runner, WebSocketClient, serving, stats, turns, until
from tests.ports import free_port
from tidegate import Connection, Gateway, Worker
from tidegate.errors import ConfigurationError
from tidegate.net import admission
from tidegate.net.admission import Admission, Judge, Verdict
from tidegate.protocols import Handshake
from tidegate.protocols.handshake import HandshakeError

PAGE = "https://example.com"
EVIL = "Origin: https://evil.example"


def judged(judge: Judge, at_once: int = 10, **options: Any) -> Worker:
    """A worker whose clients are judged from its start on."""
    worker = Worker("websocket://127.0.0.1:0", **options)

    @worker.on_worker_start
    def start(_: Worker) -> None:
        assert worker._endpoint is not None
        worker._endpoint.admission = Admission(worker._endpoint, None, judge, at_once)

    worker.on_message = lambda connection, message: connection.send(message)
    return worker


class Slow:
    """Judges when a test says so."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Verdict]] = []
        self.cancelled = 0

    async def judge(self, connection: Connection, handshake: Handshake) -> Verdict:
        self.asked.append(asyncio.get_running_loop().create_future())
        try:
            return await self.asked[-1]
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def answer(client: Client) -> tuple[int, bytes]:
    """The status of an HTTP answer, and all of it."""
    said = await client.read_to_end()
    return int(said.split(b" ")[1]), said


async def ask(port: int, *headers: str) -> tuple[int, bytes]:
    with await Client.connect(port) as client:
        await client.send(upgrade_request("/", *headers))
        return await answer(client)


def test_a_page_of_another_origin_gets_403_and_makes_no_event(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("websocket://127.0.0.1:0", origins=[PAGE])
        events: list[str] = []
        worker.on_connect = lambda connection: events.append("connect")
        async with serving(worker) as port:
            for headers in ([EVIL], ["Origin: null"], [f"Origin: {PAGE}", EVIL]):
                status, said = await ask(port, *headers)
                assert (status, said.count(b"may not connect here")) == (403, 1)
            assert events == []
            assert stats(worker)["refused_origins"] == 3
            await until(lambda: stats(worker)["handshake_failures"] == 3)
            for good in ([f"Origin: {PAGE}"], []):
                with await WebSocketClient.open(port, headers=tuple(good)):
                    pass
            assert events == ["connect"] * 2
            assert stats(worker)["refused_origins"] == 3

    run(main())


def test_what_a_page_calls_itself_is_shown_in_part(run: Runner) -> None:
    async def main() -> None:
        async with serving(Worker("websocket://127.0.0.1:0", origins=[PAGE])) as port:
            status, said = await ask(port, "Origin: " + "x" * 9000)
            assert (status, len(said) < 500) == (403, True)

    run(main())


def test_a_judgement_may_come_at_once(run: Runner) -> None:
    def judge(connection: Connection, handshake: Handshake) -> Verdict:
        assert handshake.remote_ip == connection.remote_ip == "127.0.0.1"
        return None if handshake.path == "/in" else HandshakeError(401, "not you")

    async def main() -> None:
        async with serving(judged(judge)) as port:
            assert (await ask(port))[0] == 401
            with await WebSocketClient.open(port, client_frame(0x81, b"early"), path="/in") as client:
                assert await client.read_text() == "early"

    run(main())


@pytest.mark.parametrize("verdict", [None, HandshakeError(401, "not you")])
def test_the_answer_waits_for_the_judgement_and_what_came_meanwhile_for_the_answer(
    run: Runner, verdict: Verdict
) -> None:
    async def main() -> None:
        slow = Slow()
        worker = judged(slow.judge)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(upgrade_request())
                await until(lambda: slow.asked)
                await client.send(client_frame(0x81, b"one"))
                await client.send(client_frame(0x81, b"two"))
                await turns(20)
                assert worker.connections == {}
                slow.asked[0].set_result(verdict)
                if verdict is None:
                    assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                    assert await client.read(10) == b"\x81\x03one\x81\x03two"
                else:
                    assert (await answer(client))[0] == 401
            assert len(slow.asked) == 1

    run(main())


def test_what_comes_before_the_answer_is_bounded(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_EARLY", 1000)

    async def main() -> None:
        slow = Slow()
        async with serving(judged(slow.judge)) as port:
            with await Client.connect(port) as client:
                await client.send(upgrade_request())
                await until(lambda: slow.asked)
                await client.send(b"x" * 1001)
                status, said = await answer(client)
                assert (status, b"too much" in said) == (400, True)
            await until(lambda: slow.cancelled == 1)

    run(main())


def test_so_many_are_judged_at_a_time_and_the_others_in_their_turn(run: Runner) -> None:
    async def main() -> None:
        slow = Slow()
        worker = judged(slow.judge, at_once=2)
        async with serving(worker) as port:
            clients = [await Client.connect(port) for _ in range(5)]
            for client in clients:
                await client.send(upgrade_request())
                await until(lambda: len(opening(worker)) == len(clients))
            await until(lambda: len(slow.asked) == 2)
            clients[3].sock.close()  # who goes while waiting is not asked about
            await until(lambda: len(opening(worker)) == 4)
            slow.asked[1].set_result(None)
            await until(lambda: len(slow.asked) == 3)
            for future in slow.asked:
                if not future.done():
                    future.set_result(None)
            await until(lambda: len(slow.asked) == 4)
            slow.asked[3].set_result(None)
            await until(lambda: len(worker.connections) == 4)
            for client in clients:
                client.sock.close()

    run(main())


def opening(worker: Worker) -> dict[Connection, int]:
    assert worker._endpoint is not None
    return worker._endpoint.opening


def test_a_client_that_goes_is_judged_no_more(run: Runner) -> None:
    async def main() -> None:
        slow = Slow()
        worker = judged(slow.judge)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(upgrade_request())
                await until(lambda: slow.asked)
            await until(lambda: slow.cancelled == 1)
            await until(lambda: stats(worker)["handshake_failures"] == 1)
            assert stats(worker)["failed_auth"] == 0

    run(main())


def test_a_judgement_that_does_not_mind_being_cancelled_comes_too_late(run: Runner) -> None:
    async def main() -> None:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def judge(connection: Connection, handshake: Handshake) -> Verdict:
            started.set()
            while not go_on.is_set():
                try:
                    await go_on.wait()
                except asyncio.CancelledError:
                    continue
            return None

        worker = judged(judge)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(upgrade_request())
                await started.wait()
            await until(lambda: stats(worker)["handshake_failures"] == 1)
            go_on.set()
            await turns()
            assert worker.connections == {}

    run(main())


def test_a_judgement_that_takes_too_long_is_a_503_and_counted(
    run: Runner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.net.reactor.TICK_SECONDS", 0.02)

    async def main() -> None:
        slow = Slow()
        worker = judged(slow.judge, at_once=1, handshake_timeout=1)
        async with serving(worker) as port:
            with await Client.connect(port) as first, await Client.connect(port) as second:
                for client in (first, second):
                    await client.send(upgrade_request())
                assert [(await answer(client))[0] for client in (first, second)] == [503, 503]
            assert stats(worker)["failed_auth"] == 2
            await until(lambda: slow.cancelled == len(slow.asked))

    run(main())
    assert "auth has not answered within 1 s" in caplog.text


def test_a_stop_waits_for_nobody_who_is_being_judged(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.process.server.HASTY_SECONDS", 0.05)

    async def main() -> None:
        slow = Slow()
        async with serving(judged(slow.judge)) as port:
            client = await Client.connect(port)
            await client.send(upgrade_request())
            await until(lambda: slow.asked)
        with client:
            assert await client.read_to_end() == b""
        await until(lambda: slow.cancelled == 1)

    run(main())


@pytest.mark.parametrize("make", [Worker, Gateway])
@pytest.mark.parametrize("address", ["text://127.0.0.1:1", "frame://127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_origins_need_a_handshake(make: Callable[..., Any], address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"origins= needs a websocket:// address: \w+:// has no handshake"):
        make(address, origins=[PAGE])


def test_origins_for_everything_are_for_what_has_some(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_ORIGINS", f"{PAGE}, https://*.example.com")

    async def main() -> None:
        async with serving(Worker("text://127.0.0.1:0")), serving(Worker("websocket://127.0.0.1:0")) as port:
            assert (await ask(port, EVIL))[0] == 403
            with await WebSocketClient.open(port, headers=("Origin: https://a.example.com",)):
                pass

    run(main())


def test_origins_that_are_none_are_named() -> None:
    worker = Worker(f"websocket://127.0.0.1:{free_port()}", origins=["example.com"])
    with pytest.raises(
        ConfigurationError, match=r"origins of worker .* is \['example.com'\]: it takes a list of origins"
    ):
        worker.settings({})

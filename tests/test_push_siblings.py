"""How a push server asks its processes, with processes that do as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.ports import free_port
from tidegate import push_siblings
from tidegate.net import loops
from tidegate.push_siblings import Siblings
from tidegate.wire import php
from tidegate.wire.commands import SEND_TO_UID_COUNTED
from tidegate.wire.packet import PacketReader, pack

HELLO = b"\0\0\0\x1c" + bytes(24)
PUSH = pack(SEND_TO_UID_COUNTED, ext=b'["0:u"]', body=b"hello")


class Process:
    """A scripted process: answers each packet as its function says, None not at all."""

    def __init__(self, answer: Callable[[], bytes | None]) -> None:
        self.answer = answer
        self.received: list[bytes] = []
        self.links: list[asyncio.StreamWriter] = []
        self.port = free_port()
        self._server: asyncio.Server | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links.append(writer)
        packets = PacketReader()
        while data := await reader.read(65536):
            for packet in packets.feed(data):
                self.received.append(packet[4])
                if packet[0] == SEND_TO_UID_COUNTED and (answer := self.answer()) is not None:
                    writer.write(answer)
        writer.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in self.links:
            link.close()
        await asyncio.sleep(0)


def answer(count: object) -> bytes:
    body = php.dumps(count)
    return len(body).to_bytes(4) + body


@asynccontextmanager
async def asking(*processes: Process) -> AsyncIterator[Siblings]:
    for process in processes:
        await process.open()
    siblings = Siblings([process.port for process in processes], HELLO)
    try:
        yield siblings
    finally:
        siblings.close()
        for process in processes:
            await process.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    loops.run(limited())


@pytest.mark.parametrize(("counts", "taken"), [((0, 0), False), ((0, 1), True), ((3, 2), True)])
def test_a_push_was_taken_where_one_process_says_so(counts: tuple[int, int], taken: bool) -> None:
    async def test() -> None:
        processes = [Process(lambda count=count: answer(count)) for count in counts]  # type: ignore[misc]
        async with asking(*processes) as siblings:
            assert await siblings.ask(PUSH) is taken
            assert await siblings.ask(PUSH) is taken
            for process in processes:
                while len(process.received) < 3:
                    await asyncio.sleep(0.001)
                assert process.received == [b"", b"hello", b"hello"]  # the greeting once

    run(test)


def test_who_took_it_is_known_before_a_silent_process_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(push_siblings, "ANSWER_SECONDS", 1)

    async def test() -> None:
        silent, counts = Process(lambda: None), [1, 0]
        async with asking(silent, Process(lambda: answer(counts.pop(0)))) as siblings:
            assert await asyncio.wait_for(siblings.ask(PUSH), 0.5)
            assert not await siblings.ask(PUSH)
            assert siblings.lost == 2
            silent.answer = lambda: answer(1)
            counts.append(0)
            assert await siblings.ask(PUSH)  # on a new link

    run(test)
    assert "broke off: no answer within 1 s" in caplog.text


def test_a_process_that_is_not_there_took_nothing_and_is_asked_again_once_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        process = Process(lambda: answer(1))
        siblings = Siblings([process.port], b"")
        assert not await siblings.ask(PUSH)
        await process.open()
        assert await siblings.ask(PUSH)
        process.links[0].close()
        while not await siblings.ask(PUSH):
            await asyncio.sleep(0.01)
        siblings.close()
        await process.close()

    run(test)
    assert "can't be reached: Connection refused" in caplog.text


@pytest.mark.parametrize("rubbish", [answer("many"), answer(1) * 2, b"\xff" * 8, answer(None)])
def test_what_sends_rubbish_is_left(rubbish: bytes) -> None:
    async def test() -> None:
        process = Process(lambda: rubbish)
        async with asking(process) as siblings:
            await siblings.ask(PUSH)
            while not process.links[0].is_closing():
                await asyncio.sleep(0.001)
            process.answer = lambda: answer(1)
            assert await siblings.ask(PUSH)

    run(test)


def test_pushes_to_a_process_that_does_not_read_are_bounded_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(push_siblings, "QUEUE_LIMIT", 1024 * 1024)
    gate = asyncio.Event()

    async def test() -> None:
        process = Process(lambda: answer(1))

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await gate.wait()
            writer.close()

        process.serve = hold  # type: ignore[method-assign]
        async with asking(process) as siblings:
            big = pack(SEND_TO_UID_COUNTED, body=bytes(400 * 1024))
            waiting = [siblings.ask(big) for _ in range(4)]
            await asyncio.sleep(0)
            assert siblings.lost == 2  # before there was a link
            while "it does not read" not in caplog.text:
                siblings.tell(big)
                await asyncio.sleep(0.001)
            assert siblings.lost > 2
            gate.set()
            assert not any(await asyncio.gather(*waiting))

    run(test)
    assert "does not accept connections" in caplog.text

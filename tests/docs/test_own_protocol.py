"""docs/own-protocol.md: its protocol, in its own tests and in a Worker, and what becomes of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.docs.support import DOCS, importable, run
from tidegate import BusinessWorker, Connection, Gateway, Worker
from tidegate.errors import ProtocolError
from tidegate.testing import cluster

PAGE = DOCS / "own-protocol.md"
SECONDS = 5


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Any]:
    with importable(PAGE, tmp_path) as module:
        yield module


def test_the_tests_on_the_page_pass(module: Any) -> None:
    tests = [fn for name, fn in vars(module("test_netstring")).items() if name.startswith("test_")]
    assert len(tests) == 3
    patient = settings(max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    for fn in tests:
        (patient(fn) if is_hypothesis_test(fn) else fn)()


@pytest.mark.parametrize("wrong", [b"x", b":", b"-1:", b"100001:", b"0000001", b"1:ab", b"1 :a,", b"1:a;"])
def test_what_is_no_netstring_is_refused_at_once(module: Any, wrong: bytes) -> None:
    codec = module("netstring").Netstring()
    with pytest.raises(ProtocolError):
        codec.feed(wrong)


@pytest.mark.parametrize("part", [b"", b"1", b"100000:", b"000001:", b"3:abc"])
def test_what_may_become_one_is_kept(module: Any, part: bytes) -> None:
    assert module("netstring").Netstring().feed(part) == []


class Fields:
    """Gives what no gateway could carry."""

    def feed(self, data: bytes) -> list[Any]:
        if data == b"raise":
            raise KeyError("raise")
        return [{"text": data.decode()}]

    def encode(self, message: Any) -> bytes:
        return f"{message['text']}!".encode()


async def connect(member: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(member.address.host, member.address.port)


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def test_a_worker_hands_on_whatever_a_protocol_gives_and_tells_of_errors() -> None:
    worker = Worker("tcp://127.0.0.1:0", protocol=Fields)
    errors: list[Exception] = []

    @worker.on_message
    def receive(connection: Connection, message: Any) -> None:
        assert message == {"text": "hello"}
        try:
            connection.send({"no text": ""})  # type: ignore[arg-type]
        except KeyError:
            connection.send(message)

    @worker.on_error
    def note(connection: Connection, error: Exception) -> None:
        errors.append(error)

    async def test() -> None:
        async with cluster(worker), asyncio.timeout(SECONDS):
            reader, writer = await connect(worker)
            writer.write(b"hello")
            assert await reader.readexactly(6) == b"hello!"
            writer.write(b"raise")
            assert await reader.read() == b""
            await leave(writer)
        (error,) = errors
        assert isinstance(error, ProtocolError)
        assert str(error) == "KeyError: 'raise'"
        assert isinstance(error.__cause__, KeyError)

    run(test)


class Narrow:
    """Knows one word, and never what to do with others."""

    def feed(self, data: bytes) -> list[bytes]:
        return []

    def encode(self, message: str | bytes) -> bytes:
        if message != "word":
            raise ValueError("no word")
        return b"word"


def test_what_can_not_be_encoded_is_dropped_and_what_gives_no_message_is_bounded() -> None:
    gateway = Gateway("tcp://127.0.0.1:0", protocol=Narrow, max_message_size=10)

    async def test() -> None:
        async with cluster(gateway, BusinessWorker(), raise_errors=False) as c, asyncio.timeout(SECONDS):
            reader, writer = await connect(gateway)
            writer.write(b"0123456789")
            while not gateway.connections:
                await asyncio.sleep(0.001)
            await c.push.send_to_all("sentence")
            await c.push.send_to_all("word")
            assert await reader.readexactly(4) == b"word"
            assert gateway.snapshot()["extra"]["bad_commands"] == 1
            writer.write(b"0")
            assert await reader.read() == b""
            await leave(writer)
            assert gateway.snapshot()["protocol_errors"] == 1

    run(test)

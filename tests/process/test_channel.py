"""Both ends of a channel in one loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tidegate.errors import ConfigurationError
from tidegate.process import channel as module
from tidegate.process.channel import (
    Channel,
    ChannelClosedError,
    Handler,
    RemoteError,
    receive_first,
    send_first,
)


async def nothing(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
    return None, ()


async def mirror(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
    return [op, parameters], ()


class Pair:
    """Two ends, and whether each was told of the other's end."""

    def __init__(self, left: Handler, right: Handler) -> None:
        self.sockets = socket.socketpair()
        self.ended: list[str] = []
        self.left = Channel(self.sockets[0], left, lambda: self.ended.append("left"))
        self.right = Channel(self.sockets[1], right, lambda: self.ended.append("right"))

    async def until_ended(self, side: str) -> None:
        while side not in self.ended:
            await asyncio.sleep(0)


@contextmanager
def pair(left: Handler = nothing, right: Handler = mirror) -> Iterator[Pair]:
    both = Pair(left, right)
    try:
        yield both
    finally:
        both.left.close()
        both.right.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(limited())


def test_either_side_asks_and_is_answered() -> None:
    async def test() -> None:
        with pair(mirror, mirror) as both:
            asked = (both.left.request("a", number=1), both.left.request("b"), both.right.request("c", text="é\n"))
            assert list(await asyncio.gather(*asked)) == [["a", {"number": 1}], ["b", {}], ["c", {"text": "é\n"}]]

    run(test)


def test_what_is_told_arrives_in_order_and_is_not_answered() -> None:
    async def test() -> None:
        told: list[int] = []
        last = asyncio.Event()

        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            told.append(parameters["number"])
            if parameters["number"] == 99:
                last.set()
            return None, ()

        with pair(right=handle) as both:
            for number in range(100):
                both.left.tell("note", number=number)
            await last.wait()
            assert told == list(range(100))

    run(test)


def test_big_messages_cross_both_ways() -> None:
    async def test() -> None:
        with pair() as both:
            text = "x" * 3_000_000
            assert await both.left.request("echo", text=text) == ["echo", {"text": text}]

    run(test)


def test_an_answer_that_is_too_long_is_an_error_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 1000)

    async def test() -> None:
        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            return "x" * parameters["length"], ()

        with pair(right=handle) as both:
            with pytest.raises(RemoteError, match="too long: ask for less"):
                await both.left.request("text", length=1000)
            assert await both.left.request("text", length=500) == "x" * 500

    run(test)


def test_a_line_without_an_end_closes_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 1000)

    async def test() -> None:
        ours, theirs = socket.socketpair()
        ended = asyncio.Event()
        channel = Channel(ours, nothing, ended.set)
        with theirs:
            theirs.sendall(b"x" * 2000)
            await ended.wait()
            assert not channel.is_open

    run(test)


def test_errors_are_told_to_who_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            raise ConfigurationError("not so") if op == "ours" else ValueError("unforeseen")

        with pair(right=handle) as both:
            with pytest.raises(RemoteError, match=r"^not so$"):
                await both.left.request("ours")
            assert not caplog.records
            with pytest.raises(RemoteError, match=r"^ValueError: unforeseen$"):
                await both.left.request("other")
            assert [record.message for record in caplog.records] == ["a request failed"]

    run(test)


def test_sockets_go_along_and_no_program_inherits_them() -> None:
    async def test() -> None:
        listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]

        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            index = parameters["index"]
            return None, listening[index : index + 2]

        with pair(right=handle) as both:
            given: list[list[socket.socket]] = await asyncio.gather(
                *(both.left.request("sockets", sockets=True, index=index) for index in (0, 1, 2))
            )
        names = [sock.getsockname() for sock in listening]
        assert [[sock.getsockname() for sock in socks] for socks in given] == [names[0:2], names[1:3], names[2:3]]
        for sock in (*listening, *(sock for socks in given for sock in socks)):
            assert not sock.get_inheritable()
            sock.close()

    run(test)


def test_sockets_that_nobody_waits_for_any_more_are_closed() -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            if op == "slow":
                asked.set()
                await go_on.wait()
                return None, [theirs]
            return None, ()

        with pair(right=handle) as both:
            asking = asyncio.create_task(both.left.request("slow", sockets=True))
            await asked.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            go_on.set()
            await both.left.request("after it")
            theirs.close()
            ours.settimeout(10)
            assert ours.recv(1) == b""  # no copy of the other end is left
            ours.close()

    run(test)


def test_who_waits_for_an_answer_is_told_that_the_other_side_is_gone() -> None:
    async def test() -> None:
        asked = asyncio.Event()

        async def never(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            asked.set()
            await asyncio.Event().wait()
            return None, ()

        with pair(right=never) as both:
            asking = asyncio.create_task(both.left.request("anything"))
            await asked.wait()
            both.right.close()
            with pytest.raises(ChannelClosedError):
                await asking
            assert both.ended == ["left"]
            assert not both.left.is_open
            with pytest.raises(ChannelClosedError):
                await both.left.request("more")
            both.left.tell("more")  # which says nothing

    run(test)


def test_what_was_said_before_the_end_is_heard() -> None:
    async def test() -> None:
        heard: list[str] = []

        async def handle(op: str, parameters: dict[str, Any]) -> tuple[Any, Sequence[socket.socket]]:
            heard.append(op)
            return None, ()

        with pair(left=handle) as both:
            both.right.tell("last words")
            both.right.close()
            await both.until_ended("left")
            assert heard == ["last words"]

    run(test)


def test_the_first_message_is_read_alone_before_there_is_a_loop() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_first(ours, {"number": 1})
        ours.sendall(b"rest")
        assert receive_first(theirs) == {"number": 1}
        assert theirs.recv(10) == b"rest"
        ours.close()
        with pytest.raises(ChannelClosedError, match="the supervisor is gone"):
            receive_first(theirs)


def test_a_channel_leaves_no_descriptor_open() -> None:
    before = set(os.listdir("/dev/fd"))

    async def test() -> None:
        with pair() as both:
            await both.left.request("x")

    run(test)
    assert set(os.listdir("/dev/fd")) <= before

"""Links between processes: what leaves in a turn, what waits, and what an end brings along."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from tests.net.links import CountingSocket, Owner, linked
from tests.net.support import Runner, turns, until
from tidegate.errors import ProtocolError
from tidegate.net.link import Link
from tidegate.net.reactor import READ_BUFFER_SIZE


def writes(link: Link) -> list[int]:
    assert isinstance(link._socket, CountingSocket)
    return link._socket.writes


def test_what_is_sent_in_one_turn_leaves_in_one_write(run: Runner) -> None:
    async def main() -> None:
        async with linked() as (link, client):
            for _ in range(3):
                link.send(b"a")
                link.send(b"bc")
            assert link.queued_bytes == 9
            assert writes(link) == []
            assert await client.read(9) == b"abc" * 3
            assert writes(link) == [9]
            link.send(b"d")
            assert await client.read(1) == b"d"
            assert writes(link) == [9, 1]
            assert link.queued_bytes == 0

    run(main())


def test_what_is_sent_from_what_is_received_leaves_in_one_write_too(run: Runner) -> None:
    class Echo(Owner):
        def link_received(self, link: Link, items: list[bytes]) -> None:
            for letter in b"".join(items):
                link.send(bytes([letter]))

    async def main() -> None:
        async with linked(Echo()) as (link, client):
            await client.send(b"abcdef")
            assert await client.read(6) == b"abcdef"
            assert writes(link) == [6]

    run(main())


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_more_than_the_system_takes_arrives_in_order(run: Runner, size: int) -> None:
    pieces = [bytes([65 + number % 26]) * size for number in range(40)]

    async def main() -> None:
        async with linked(small=True) as (link, client):
            for round_ in range(4):
                for piece in pieces:
                    link.send(piece)
                if round_ % 2:
                    await turns(1)
            for piece in pieces * 4:
                assert await client.read(size) == piece
            await until(lambda: link.queued_bytes == 0)

    run(main())


def test_a_full_link_says_so_and_tells_when_there_is_room_again(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner, small=True, limit=1_000_000) as (link, client):
            assert not link.is_full
            link.send(bytes(1_000_000))
            assert not link.is_full
            link.send(bytes(1_000_000))
            assert link.is_full
            await turns()
            assert link.is_full
            read = 0
            while not owner.drained:
                link.is_full  # noqa: B018 - asking when there is some room does not make it forget who waits
                assert read <= 2_000_000
                read += len(await client.read(10_000))
                await turns(1)
            assert link.queued_bytes <= 500_000
            await client.read(2_000_000 - read)
            await until(lambda: link.queued_bytes == 0)
            assert owner.drained == 1
            assert not link.is_full

    run(main())


def test_a_link_that_was_full_for_a_turn_only_tells_of_it_too(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner, limit=10) as (link, client):
            for _ in range(5):
                link.send(b"abcdefghijkl")
                assert link.is_full
                link.flush()
                link.send(b"more")
                link.flush()
                await client.read(16)
                await turns()
            assert owner.drained == 5

    run(main())


def test_reading_pauses_and_goes_on(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner) as (link, client):
            link.pause_reading()
            link.pause_reading()
            await client.send(b"abc")
            await turns(10)
            assert owner.received == b""
            link.resume_reading()
            link.resume_reading()
            await until(lambda: owner.received == b"abc")

    run(main())


def test_an_owner_that_pauses_while_it_is_given_items_is_given_no_more(run: Runner) -> None:
    class Slow(Owner):
        def link_received(self, link: Link, items: list[bytes]) -> None:
            super().link_received(link, items)
            link.pause_reading()

    async def main() -> None:
        owner = Slow()
        size = 8 * READ_BUFFER_SIZE
        async with linked(owner) as (link, client):
            sending = asyncio.create_task(client.send(b"x" * size))
            while len(owner.received) < size:
                await until(lambda: owner.reads)
                await turns()
                assert len(owner.reads) == 1
                owner.reads.clear()
                link.resume_reading()
            await sending

    run(main())


def test_what_is_more_than_a_buffer_is_read_whole(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        size = 6 * READ_BUFFER_SIZE + 5
        async with linked(owner) as (link, client):
            link.pause_reading()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            sent = client.sock.send(b"x" * size)
            assert sent > READ_BUFFER_SIZE
            link.resume_reading()
            await until(lambda: len(owner.received) == sent)  # how much of it comes at once is the system's affair

    run(main())


def test_closing_sends_everything_first(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner, small=True) as (link, client):
            for _ in range(10):
                link.send(b"x" * 300_000)
            await turns()
            link.send(b"y" * 300_000)  # behind what is stuck
            link.close()
            link.close()
            link.send(b"never")
            link.pause_reading()
            link.resume_reading()
            await client.send(b"unread")
            received = await client.read_to_end()
            assert received == b"x" * 3_000_000 + b"y" * 300_000
            await until(lambda: owner.lost)
            assert owner.lost == [None]
            assert owner.received == b""
            assert link.queued_bytes == 0

    run(main())


def test_destroying_drops_what_is_queued(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner) as (link, client):
            link.send(b"lost")
            link.destroy()
            link.destroy()
            link.send(b"never")
            assert await client.read_to_end() == b""
            await until(lambda: owner.lost)
            assert owner.lost == [None]

    run(main())


def test_answers_are_sent_though_the_other_side_sends_no_more(run: Runner) -> None:
    class Answers(Owner):
        def link_received(self, link: Link, items: list[bytes]) -> None:
            super().link_received(link, items)
            for item in items:
                link.send(item.upper())

    async def main(size: int) -> None:
        owner = Answers()
        async with linked(owner, small=size > 1000) as (link, client):
            link.pause_reading()
            sending = asyncio.create_task(client.send(b"x" * size))
            if size < 100_000:
                await sending
                client.shut()  # so that the end comes together with what was sent last
            link.resume_reading()
            await sending
            if size >= 100_000:
                client.shut()
            assert await client.read_to_end() == b"X" * size
            await until(lambda: owner.lost)
            assert owner.lost == [None]

    for size in (1, 3_000_000):
        run(main(size))


def test_the_end_right_behind_a_full_buffer_loses_no_answer(run: Runner) -> None:
    class Late(Owner):
        def link_received(self, link: Link, items: list[bytes]) -> None:
            super().link_received(link, items)
            link.send(b"%d" % len(items[0]))

    async def main() -> None:
        owner = Late()
        async with linked(owner) as (link, client):
            link.pause_reading()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ_BUFFER_SIZE)
            assert client.sock.send(b"x" * READ_BUFFER_SIZE) == READ_BUFFER_SIZE
            client.shut()
            await asyncio.sleep(0.01)  # for the system to carry it over
            link.resume_reading()
            answers = await client.read_to_end()
            assert len(owner.received) == READ_BUFFER_SIZE
            assert answers == b"".join(b"%d" % size for size in owner.reads)

    run(main())


def test_a_mistake_of_the_other_side_ends_the_link_with_it_after_what_came_before(run: Runner) -> None:
    class Answers(Owner):
        def link_received(self, link: Link, items: list[bytes]) -> None:
            super().link_received(link, items)
            link.send(b"yes")

    async def main() -> None:
        owner = Answers()
        async with linked(owner) as (link, client):
            await client.send(b"ab!cd")
            assert await client.read_to_end() == b"yes"
            await until(lambda: owner.lost)
            assert owner.received == b"ab"
            (error,) = owner.lost
            assert isinstance(error, ProtocolError)
            assert link.is_closed

    run(main())


def test_a_connection_that_breaks_ends_the_link_with_an_error(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner) as (link, client):
            client.reset()
            while not owner.lost:
                link.send(b"x")
                await turns(1)
            assert len(owner.lost) == 1
            assert isinstance(owner.lost[0], OSError)

    run(main())


def test_bytes_that_come_one_by_one_are_all_given(run: Runner) -> None:
    async def main() -> None:
        owner = Owner()
        async with linked(owner) as (_, client):
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(50):
                await client.send(struct.pack("!B", 65 + number % 26))
                await turns(1)
            await until(lambda: len(owner.received) == 50)
            assert owner.received[:3] == b"ABC"

    run(main())

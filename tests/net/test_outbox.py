"""What a connection is sent, and how it leaves, on a system that is only played."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.net.stubs import CountingCodec, Stage
from tests.net.support import Runner, turns
from tidegate import Connection
from tidegate.errors import SlowConsumerError
from tidegate.protocols import CustomCodec


def test_messages_of_one_turn_leave_in_one_write_and_in_order(run: Runner) -> None:
    async def main() -> None:
        async with Stage() as stage:
            connection, system = stage.connect()
            assert all(connection.send(f"{number};") for number in range(40))
            assert system.writes == []
            await turns()
            assert system.writes == ["".join(f"{number};" for number in range(40)).encode()]
            connection.send("later")
            await turns()
            assert system.writes[1:] == [b"later"]

    run(main())


def test_large_messages_of_one_turn_leave_in_one_write_too(run: Runner) -> None:
    async def main() -> None:
        async with Stage() as stage:
            connection, system = stage.connect()
            for letter in "abc":
                connection.send(letter * 50_000)
            await turns()
            assert system.writes == [b"a" * 50_000 + b"b" * 50_000 + b"c" * 50_000]

    run(main())


def test_a_broadcast_is_encoded_once_a_turn(run: Runner) -> None:
    class Codec(CountingCodec):
        __slots__ = ()

    async def main() -> None:
        async with Stage(Codec) as stage:
            systems = [stage.connect() for _ in range(10)]
            for connection, _ in systems:
                connection.send("to all")
                connection.send(bytearray(b"and bytes"))
            assert Codec.encoded == 2
            await turns()
            assert all(system.writes == [b"to alland bytes"] for _, system in systems)
            systems[0][0].send("to all")
            assert Codec.encoded == 3  # nothing is kept between turns

    run(main())


def test_a_protocol_of_the_users_own_encodes_for_each_connection(run: Runner) -> None:
    class Numbered:
        def __init__(self) -> None:
            self.count = 0

        def feed(self, data: bytes) -> list[Any]:
            return [data]

        def encode(self, message: Any) -> bytes:
            self.count += 1
            return f"{self.count}:{message};".encode()

    async def main() -> None:
        async with Stage(lambda: CustomCodec(Numbered())) as stage:
            first, first_system = stage.connect()
            second, second_system = stage.connect()
            first.send("a")
            for connection in (first, second):
                connection.send("b")
            first.send({"any": "thing"})  # type: ignore[arg-type] # it takes what its encode takes
            await turns()
            assert first_system.writes == [b"1:a;2:b;3:{'any': 'thing'};"]
            assert second_system.writes == [b"1:b;"]

    run(main())


def test_a_protocol_that_encodes_to_no_bytes_is_told_so_at_the_call(run: Runner) -> None:
    class Wrong:
        def feed(self, data: bytes) -> list[Any]:
            return []

        def encode(self, message: Any) -> Any:
            return message

    async def main() -> None:
        async with Stage(lambda: CustomCodec(Wrong())) as stage:
            connection, system = stage.connect()
            with pytest.raises(TypeError, match="encode gives bytes, not str"):
                connection.send("text")
            assert connection.send(bytearray(b"fine"))
            await turns()
            assert system.writes == [b"fine"]

    run(main())


@pytest.mark.parametrize(
    "kind", [str, str.encode, lambda text: bytearray(text.encode()), lambda text: memoryview(b"ab")]
)
def test_text_and_everything_like_bytes_may_be_sent(run: Runner, kind: Any) -> None:
    async def main() -> None:
        data = kind("ab")
        async with Stage() as stage:
            connection, system = stage.connect()
            assert connection.send(data)
            assert connection.send(data)
            if isinstance(data, bytearray):
                data[:] = b"xy"  # what has been sent is not touched by what becomes of it
            await turns()
            assert system.writes == [b"abab"]

    run(main())


@pytest.mark.parametrize("data", [None, 1, 1.5, ["a"], {"a": 1}, ("a",), object()])
def test_anything_else_is_a_type_error(run: Runner, data: Any) -> None:
    async def main() -> None:
        async with Stage() as stage:
            connection, _ = stage.connect()
            with pytest.raises(TypeError, match="a message is str or bytes, not"):
                connection.send(data)

    run(main())


def test_sending_after_the_end_gives_false_and_is_counted(run: Runner) -> None:
    async def main() -> None:
        async with Stage() as stage:
            closing, _ = stage.connect()
            closing.close()
            assert not closing.send("a")
            destroyed, _ = stage.connect()
            destroyed.destroy()
            assert not destroyed.send("b")
            assert stage.endpoint.stats.send_failures == 2
            await turns()
            assert not closing.send("c")
            assert stage.endpoint.stats.send_failures == 3
            assert stage.endpoint.connections == {}

    run(main())


def test_what_is_queued_when_a_connection_is_destroyed_is_counted(run: Runner) -> None:
    async def main() -> None:
        async with Stage() as stage:
            connection, system = stage.connect()
            connection.send("a")
            connection.send("b")
            connection.destroy()
            await turns()
            assert system.writes == []
            assert stage.endpoint.stats.send_failures == 2

    run(main())


def test_an_empty_outbox_takes_a_message_of_any_size(run: Runner) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=10) as stage:
            connection, system = stage.connect()
            assert connection.send("x" * 1000)
            await turns()
            assert system.writes == [b"x" * 1000]

    run(main())


def test_a_burst_over_the_limit_to_a_client_that_reads_arrives_as_a_whole(run: Runner) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=100) as stage:
            connection, system = stage.connect()
            assert all(connection.send("x" * 60) for _ in range(100))
            await turns()
            assert b"".join(system.writes) == b"x" * 6000
            assert stage.endpoint.stats.slow_consumers == 0

    run(main())


def test_the_limit_is_tested_before_a_message_is_added(run: Runner) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=100, slow_consumer="drop") as stage:
            connection, system = stage.connect()
            system.room = 10
            connection.send("x" * 60)
            await turns()
            assert system.buffer == b"x" * 50
            assert connection.queued_bytes == 50
            assert connection.send("y" * 50)  # 100 are waiting now
            assert connection.queued_bytes == 100
            assert not connection.send("z")
            system.drain()
            await turns()
            assert b"".join(system.writes) == b"x" * 60 + b"y" * 50
            assert connection.queued_bytes == 0

    run(main())


def test_over_the_limit_a_slow_consumer_is_closed_and_counted(run: Runner) -> None:
    async def main() -> None:
        events: list[Any] = []
        async with Stage(send_buffer_limit=100) as stage:
            stage.callbacks.on_buffer_full = lambda connection: events.append("full")
            stage.callbacks.on_error = lambda connection, error: events.append(error)
            stage.callbacks.on_close = lambda connection: events.append("closed")
            connection, system = stage.connect()
            system.room = 0
            connection.send("x" * 60)
            await turns()
            assert connection.send("y" * 40)
            assert not connection.send("z")
            assert not connection.is_open
            await turns()
            full, error, closed = events
            assert (full, closed) == ("full", "closed")
            assert isinstance(error, SlowConsumerError)
            assert stage.endpoint.stats.slow_consumers == 1
            assert stage.endpoint.stats.send_failures == 3  # the two that waited, and the one too many

    run(main())


def test_with_drop_new_messages_are_dropped_and_counted_until_it_drains(run: Runner) -> None:
    async def main() -> None:
        events: list[str] = []
        async with Stage(send_buffer_limit=100, slow_consumer="drop") as stage:
            stage.callbacks.on_buffer_full = lambda connection: events.append("full")
            stage.callbacks.on_buffer_drain = lambda connection: events.append("drain")
            connection, system = stage.connect()
            for _ in range(2):
                system.room = 0
                connection.send("x" * 90)
                await turns()
                assert [connection.send("y" * 50) for _ in range(3)] == [False] * 3
                assert connection.send("z")  # there is room for a small one
                assert events == ["full"]
                system.drain()
                await turns()
                assert events == ["full", "drain"]
                events.clear()
            assert b"".join(system.writes) == (b"x" * 90 + b"z") * 2
            assert stage.endpoint.stats.send_failures == 6
            assert stage.endpoint.stats.slow_consumers == 0

    run(main())


def test_on_buffer_full_may_send_close_or_destroy(run: Runner) -> None:
    async def main(act: Any) -> None:
        async with Stage(send_buffer_limit=100) as stage:
            stage.callbacks.on_buffer_full = act
            connection, system = stage.connect()
            system.room = 0
            connection.send("x" * 100)
            await turns()
            assert not connection.send("y")
            assert not connection.is_open
            await turns()
            system.drain()
            await turns()
            assert stage.endpoint.connections == {}

    run(main(lambda connection: connection.send("z")))
    run(main(lambda connection: connection.close("z")))
    run(main(lambda connection: connection.destroy()))


def test_on_buffer_full_may_be_async(run: Runner) -> None:
    async def main() -> None:
        events: list[str] = []
        async with Stage(send_buffer_limit=100, slow_consumer="drop") as stage:

            async def full(connection: Connection) -> None:
                await asyncio.sleep(0)
                events.append("full")

            async def drain(connection: Connection) -> None:
                events.append("drain")

            async def handle(connection: Connection, message: Any) -> None:
                connection.send("x" * 100)
                await asyncio.sleep(0)
                connection.send("y")
                await asyncio.sleep(0)
                events.append(message.decode())

            stage.callbacks.on_buffer_full, stage.callbacks.on_buffer_drain = full, drain
            stage.callbacks.on_message = handle
            connection, system = stage.connect()
            system.room = 0
            stage.feed(connection, b"message")
            await turns(10)
            system.drain()
            await turns(10)
            assert events == ["message", "full", "drain"]

    run(main())


def test_a_client_found_gone_while_a_burst_is_sent_gets_false(run: Runner) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=100) as stage:
            connection, system = stage.connect()

            def send(data: bytes) -> int:
                raise ConnectionResetError

            system.send = send  # type: ignore[method-assign,assignment]
            assert connection.send("x" * 100)
            assert not connection.send("y")
            assert not connection.is_open
            await turns()
            assert stage.endpoint.connections == {}

    run(main())


def test_order_is_kept_between_what_waits_and_what_comes(run: Runner) -> None:
    async def main() -> None:
        async with Stage() as stage:
            connection, system = stage.connect()
            expected = b""
            for number in range(50):
                message = f"{number};".encode() * (1 + number % 7)
                expected += message
                connection.send(message)
                if number % 3 == 0:
                    system.room = number % 5
                if number % 5 == 0:
                    system.drain()
                if number % 2:
                    await turns(1)
            system.drain()
            await turns()
            system.drain()
            assert b"".join(system.writes) == expected

    run(main())


def test_an_outbox_that_fails_closes_its_own_connection_only(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Stage() as stage:
            broken, system = stage.connect()
            fine, fine_system = stage.connect()

            def send(data: bytes) -> int:
                raise RuntimeError("not of the system's errors")

            system.send = send  # type: ignore[method-assign,assignment]
            broken.send("a")
            fine.send("b")
            await turns()
            assert fine_system.writes == [b"b"]
            assert list(stage.endpoint.connections) == [fine.id]

    run(main())
    assert "flushing failed" in caplog.text

"""Callbacks, `def` and `async def`: their order, their bounds, and what they raise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.net.support import Client, Runner, serving, stats, turns, until
from tidegate import Connection, Worker


def test_events_of_a_connection_come_one_after_the_other_and_on_close_last(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        events: list[str] = []

        async def record(name: str) -> None:
            events.append(f"{name} begins")
            await turns()
            events.append(f"{name} ends")

        @worker.on_connect
        async def connect(connection: Connection) -> None:
            await record("connect")

        @worker.on_message
        async def message(connection: Connection, line: str) -> None:
            await record(line)

        @worker.on_close
        async def close(connection: Connection) -> None:
            await record("close")

        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"1\n2\n")
                await client.send(b"3\n")
            await until(lambda: "close ends" in events)
        names = ["connect", "1", "2", "3", "close"]
        assert events == [f"{name} {what}" for name in names for what in ("begins", "ends")]

    run(main())


def test_async_handlers_of_different_connections_run_concurrently(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        everybody_here = asyncio.Barrier(10)

        @worker.on_message
        async def handle(connection: Connection, line: str) -> None:
            await everybody_here.wait()
            connection.send(line)

        async with serving(worker) as port:
            clients = [await Client.connect(port) for _ in range(10)]
            for number, client in enumerate(clients):
                await client.send(f"{number}\n".encode())
            assert [await client.read_line() for client in clients] == [str(number) for number in range(10)]
            for client in clients:
                client.sock.close()
            await until(lambda: not worker.connections)

    run(main())


def test_a_handler_that_returns_an_awaitable_now_and_then_keeps_the_order(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        seen: list[str] = []

        async def slowly(line: str) -> None:
            await turns()
            seen.append(line)

        @worker.on_message
        def handle(connection: Connection, line: str) -> Any:
            if int(line) % 3 == 0:
                return slowly(line)
            seen.append(line)
            return "ignored"

        lines = [str(number) for number in range(100)]
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send("".join(f"{line}\n" for line in lines).encode())
                await until(lambda: len(seen) == 100)
        assert seen == lines

    run(main())


def test_events_that_wait_pause_reading_until_half_of_them_are_handled(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("tcp://127.0.0.1:0")
        go_on = asyncio.Semaphore(0)
        received = 0

        @worker.on_message
        async def handle(connection: Connection, data: bytes) -> None:
            nonlocal received
            await go_on.acquire()
            received += len(data)

        blob = b"x" * 300_000
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                # More than a hundred reads, and more than the system keeps in its buffers for the reader.
                sending = asyncio.create_task(client.send(blob * 200))
                await until(lambda: stats(worker)["messages_in"] >= 102)
                (connection,) = worker.connections.values()
                taken = stats(worker)["messages_in"]
                await turns(200)
                assert taken == stats(worker)["messages_in"] == 102  # one under way, 101 waiting
                assert not sending.done()
                assert connection.idle_seconds == 0
                for _ in range(50):
                    go_on.release()
                await turns(200)
                assert stats(worker)["messages_in"] == 102
                for _ in range(100_000):
                    go_on.release()
                await sending
                await until(lambda: received == len(blob) * 200)

    run(main())


def test_a_read_with_many_messages_is_taken_whole(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        seen: list[str] = []

        @worker.on_message
        async def handle(connection: Connection, line: str) -> None:
            seen.append(line)

        lines = [str(number) for number in range(5000)]
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send("".join(f"{line}\n" for line in lines).encode())
                client.shut()
                await client.read_to_end()
        assert seen == lines

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_a_handler_raises_is_logged_with_the_connection_which_lives_on(
    run: Runner, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        worker = Worker("text://127.0.0.1:0")

        def fail(connection: Connection, line: str) -> None:
            if line == "fail":
                raise ZeroDivisionError("a mistake of the user's")
            connection.send(line)

        async def fail_later(connection: Connection, line: str) -> None:
            await turns()
            fail(connection, line)

        worker.on_message = fail if kind == "def" else fail_later
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"fail\nfine\n")
                assert await client.read_line() == "fine"
                (number,) = worker.connections
                assert stats(worker)["handler_errors"] == 1
                return number

    number = run(main())
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert f"text-0: connection {number}: " in record.getMessage()
    assert "fail" in record.getMessage()
    assert record.exc_info is not None
    assert "a mistake of the user's" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("name", ["on_connect", "on_close", "on_error"])
def test_what_any_callback_raises_is_logged(run: Runner, name: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0", max_message_size=10)
        worker.on_message = lambda connection, line: connection.send(line)

        def fail(*_: Any) -> None:
            raise RuntimeError(f"{name} failed")

        setattr(worker, name, fail)
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"fine\n" + b"x" * 20)
                assert await client.read_to_end() == b"fine\n"
            await until(lambda: not worker.connections)
            assert stats(worker)["handler_errors"] == 1

    run(main())
    assert f"{name} failed" in caplog.text


def test_pause_holds_back_messages_also_of_the_same_read_until_resume(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        seen: list[str] = []
        closed: list[Connection] = []

        @worker.on_message
        def handle(connection: Connection, line: str) -> None:
            seen.append(line)
            if line.startswith("pause"):
                connection.pause()

        worker.on_close = closed.append
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"1\npause 2\n3\npause 4\n5\n")
                await until(lambda: seen == ["1", "pause 2"])
                (connection,) = worker.connections.values()
                await client.send(b"6\n")
                await turns(20)
                assert seen == ["1", "pause 2"]
                assert connection.idle_seconds == 0
                connection.send("sending goes on")
                assert await client.read_line() == "sending goes on"
                connection.resume()
                await until(lambda: seen == ["1", "pause 2", "3", "pause 4"])
                await turns(20)
                assert seen[-1] == "pause 4"
                connection.resume()
                connection.resume()
                await until(lambda: seen[-1] == "6")
        assert seen == ["1", "pause 2", "3", "pause 4", "5", "6"]
        assert len(closed) == 1

    run(main())


def test_pause_and_resume_in_async_handlers_keep_the_order(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        seen: list[str] = []

        @worker.on_message
        async def handle(connection: Connection, line: str) -> None:
            connection.pause()
            if int(line) % 2:
                await asyncio.sleep(0)
            seen.append(line)
            connection.resume()
            if int(line) % 3:
                await asyncio.sleep(0)
            seen.append(line)

        lines = [str(number) for number in range(60)]
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                for start in range(0, 60, 5):
                    await client.send("".join(f"{line}\n" for line in lines[start : start + 5]).encode())
                    await turns()
                client.shut()
                await client.read_to_end()
        assert seen == [line for line in lines for _ in range(2)]

    run(main())


def test_a_paused_connection_can_be_closed_and_destroyed(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        closed: list[int] = []
        worker.on_connect = lambda connection: connection.pause()
        worker.on_close = lambda connection: closed.append(connection.id)
        async with serving(worker) as port:
            for end in (Connection.close, Connection.destroy):
                with await Client.connect(port) as client:
                    await client.send(b"not handled\n")
                    await until(lambda: worker.connections)
                    (connection,) = worker.connections.values()
                    end(connection)
                    connection.pause()
                    connection.resume()
                    await client.read_to_end()
                await until(lambda: not worker.connections)
            assert len(closed) == 2

    run(main())


def test_on_close_comes_though_the_connection_is_paused(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        events: list[str] = []

        @worker.on_message
        def handle(connection: Connection, line: str) -> None:
            events.append(line)
            connection.pause()

        worker.on_close = lambda connection: events.append("close")
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"1\n2\n")
                await until(lambda: events == ["1"])
                for connection in worker.connections.values():
                    connection.destroy()
                await until(lambda: "close" in events)
        assert events == ["1", "close"]  # it was destroyed with its second line unread

    run(main())

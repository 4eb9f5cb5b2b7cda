"""Workers on http:// addresses, which serve an ASGI app."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.net.support import CERTIFICATE, KEY, Client, Runner, SecureClient, serving, stats, until
from tidegate import Connection, Worker
from tidegate.net.asgi import MAX_HEAD
from tidegate.net.throttle import Throttle

REQUEST = b"GET /hello?to=you HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {request.query_params['to']}")


def make_app(events: list[str] | None = None) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if events is not None:
            events.append("startup")
        yield
        if events is not None:
            events.append("shutdown")

    return Starlette(routes=[Route("/hello", hello)], lifespan=lifespan)


async def get(port: int) -> bytes:
    with await Client.connect(port) as client:
        await client.send(REQUEST)
        return await client.read_to_end()


def test_an_asgi_app_is_served_with_its_lifespan(run: Runner) -> None:
    async def main() -> None:
        events: list[str] = []
        worker = Worker("http://127.0.0.1:0", app=make_app(events))
        worker.on_worker_start = lambda worker: events.append("worker starts")
        worker.on_worker_stop = lambda worker: events.append("worker stops")
        async with serving(worker) as port:
            response = await get(port)
            assert response.startswith(b"HTTP/1.1 200 OK\r\n")
            assert response.endswith(b"\r\n\r\nhello you")
            assert stats(worker)["messages_in"] == 1
        assert events == ["worker starts", "startup", "worker stops", "shutdown"]

    run(main())


def test_an_asgi_app_is_served_over_tls(run: Runner) -> None:
    async def main() -> None:
        async with serving(Worker("http://127.0.0.1:0", app=make_app(), ssl=(CERTIFICATE, KEY))) as port:
            client = await SecureClient.connect(port)
            client.writer.write(REQUEST)
            assert (await client.reader.read()).endswith(b"hello you")
            await client.close()

    run(main())


def test_an_app_reaches_the_connections_of_a_worker_beside_it(run: Runner) -> None:
    async def main() -> None:
        lines = Worker("text://127.0.0.1:0")

        async def push(request: Request) -> PlainTextResponse:
            sent = [connection.send(request.query_params["to"]) for connection in lines.connections.values()]
            return PlainTextResponse(f"{len(sent)} got it")

        web = Worker("http://127.0.0.1:0", app=Starlette(routes=[Route("/hello", push)]))

        @web.on_worker_start
        async def start(worker: Worker) -> None:
            await lines.listen()

        lines.on_connect = lambda connection: connection.send("welcome")
        async with serving(web) as port:
            assert lines.address is not None
            with await Client.connect(lines.address.port) as client:
                assert await client.read_line() == "welcome"
                assert (await get(port)).endswith(b"1 got it")
                assert await client.read_line() == "you"
            await lines.stop()

    run(main())


def test_an_app_whose_startup_fails_is_an_error_and_leaves_nothing(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            raise RuntimeError("no database")
            yield

        worker = Worker("http://127.0.0.1:0", app=Starlette(lifespan=lifespan))
        with pytest.raises(RuntimeError, match="the ASGI app did not start"):
            await worker.listen()
        assert worker.connections == {}

    run(main())
    assert "no database" in caplog.text


def test_another_worker_may_be_opened_and_closed_while_one_runs(run: Runner) -> None:
    async def main() -> None:
        outer = Worker("text://127.0.0.1:0")
        inner = Worker("frame://127.0.0.1:0")
        inner.on_message = lambda connection, message: connection.send(message)

        @outer.on_worker_start
        async def start(worker: Worker) -> None:
            await inner.listen()

        @outer.on_message
        async def relay(connection: Connection, line: str) -> None:
            assert inner.address is not None
            with await Client.connect(inner.address.port) as client:
                await client.send((4 + len(line)).to_bytes(4) + line.encode())
                answer = await client.read(4 + len(line))
                connection.send(answer[4:])

        async with serving(outer) as port:
            with await Client.connect(port) as client:
                await client.send(b"through both\n")
                assert await client.read_line() == "through both"
            await inner.stop()

    run(main())


def test_an_endless_header_is_cut_off(run: Runner) -> None:
    async def main() -> None:
        async with serving(Worker("http://127.0.0.1:0", app=make_app())) as port:
            with await Client.connect(port) as client:
                await client.send(b"GET /hello?to=you HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"x" * MAX_HEAD)
                assert (await client.read_to_end()).startswith(b"HTTP/1.1 400 ")

    run(main())


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have to come at once, as it were."""
    monkeypatch.setattr("tidegate.net.asgi.TICKS", 1)
    monkeypatch.setattr("tidegate.net.http_guard.REQUEST_SECONDS", 0.3)


@pytest.mark.parametrize(
    "before", [b"", b"GET /hello HTTP/1.1\r\nHo", REQUEST.replace(b"close", b"keep-alive") + b"GET"]
)
def test_a_request_that_does_not_come_in_time_ends_its_connection(run: Runner, hurry: None, before: bytes) -> None:
    async def main() -> None:
        worker = Worker("http://127.0.0.1:0", app=make_app())
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(before)
                for _ in range(3 if before else 0):
                    await asyncio.sleep(0.05)
                    with contextlib.suppress(ConnectionError):
                        await client.send(b"a")  # a byte now and then gives it no more time
                with contextlib.suppress(ConnectionError):
                    await client.read_to_end()
            assert stats(worker)["late_handshakes"] == 1

    run(main())


def test_a_request_under_way_has_the_time_that_it_needs(run: Runner, hurry: None) -> None:
    async def slow(request: Request) -> PlainTextResponse:
        body = await request.body()
        await asyncio.sleep(0.5)
        return PlainTextResponse(f"{len(body)} bytes")

    async def main() -> None:
        worker = Worker("http://127.0.0.1:0", app=Starlette(routes=[Route("/", slow, methods=["POST"])]))
        async with serving(worker) as port:
            with await Client.connect(port) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nab")
                await asyncio.sleep(0.5)
                await client.send(b"cd")
                assert (await client.read_to_end()).endswith(b"4 bytes")
            assert stats(worker)["late_handshakes"] == 0

    run(main())


def test_the_oldest_connection_without_a_request_makes_room(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.net.http_guard.MAX_WAITING", 2)

    async def main() -> None:
        worker = Worker("http://127.0.0.1:0", app=make_app())
        async with serving(worker) as port:
            silent = [await Client.connect(port) for _ in range(2)]
            await until(lambda: stats(worker)["connections"] == 2)
            assert (await get(port)).endswith(b"hello you")
            with contextlib.suppress(ConnectionError):
                assert await silent[0].read_to_end() == b""
            assert stats(worker)["dropped_handshakes"] == 1
            await silent[1].send(REQUEST)
            assert (await silent[1].read_to_end()).endswith(b"hello you")
            for client in silent:
                client.sock.close()

    run(main())


def test_of_wrong_requests_a_few_a_second_are_logged(
    run: Runner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.net.throttle.time", SimpleNamespace(monotonic=lambda: 7.0))
    monkeypatch.setattr("tidegate.net.http_guard.throttle", Throttle(logging.getLogger("tidegate")))

    async def main() -> None:
        async with serving(Worker("http://127.0.0.1:0", app=make_app())) as port:
            for _ in range(40):
                with await Client.connect(port) as client:
                    await client.send(b"\x00\xff nonsense\r\n\r\n")
                    assert (await client.read_to_end()).startswith(b"HTTP/1.1 400 ")

    run(main())
    assert len(caplog.records) == 5
    assert "Invalid HTTP request received" in caplog.text

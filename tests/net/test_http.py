"""Workers on http:// addresses, which serve an ASGI app."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.net.support import CERTIFICATE, KEY, Client, Runner, SecureClient, serving, stats
from tidegate import Connection, Worker
from tidegate.net.asgi import MAX_HEAD

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

"""docs/bind-a-user.md: its app, its page in a browser, and what its site does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.browsers import CHROMIUM, QUIET, needs_chromium
from tests.docs.support import DOCS, ROOT, blocks, importable, run
from tidegate import GatewayClient, Worker
from tidegate.testing import cluster
from tidegate.testing.running import Cluster

PAGE = DOCS / "bind-a-user.md"
NOBODY = "7f000001000100000001"  # at a port where nothing listens


class Program:
    """The page's files, and the cluster of its app."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.module: Any = None

    @contextlib.asynccontextmanager
    async def running(self, *more: Worker, secret_key: str = "") -> AsyncIterator[Cluster]:
        with importable(PAGE, self._folder) as self.module:
            async with cluster(self.module("app").app, *more, secret_key=secret_key) as c:
                self.module("binding").gateway = gateway = GatewayClient(c.address, secret_key=secret_key)
                with gateway:
                    yield c

    async def bind(self, user: Any, client_id: str) -> int:
        status: int = await asyncio.to_thread(self.module("binding").bind, user, client_id)
        return status


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_every_tab_of_a_user_is_bound_until_the_log_out(program: Program) -> None:
    async def test() -> None:
        async with program.running() as c:
            tabs = [await c.connect() for _ in range(2)]
            for tab in tabs:
                init = await tab.receive_json()
                assert init == {"type": "init", "client_id": tab.client_id}
                assert await program.bind(42, init["client_id"]) == 204
            await c.push.send_to_uid(42, "mail")
            assert [await tab.receive() for tab in tabs] == ["mail", "mail"]
            assert sorted(await c.push.get_client_id_by_uid(42)) == sorted(tab.client_id for tab in tabs)
            assert await program.bind("kim", tabs[0].client_id) == 204
            assert await c.push.get_client_id_by_uid(42) == [tabs[1].client_id]
            await asyncio.to_thread(program.module("binding").gateway.close_uid, 42, "you are logged out")
            assert await tabs[1].receive() == "you are logged out"
            await tabs[1].wait_closed()
            assert not await c.push.is_uid_online(42)
            await c.push.unbind_uid(tabs[0].client_id, "kim")
            assert await c.push.is_online(tabs[0].client_id)
            assert not await c.push.is_uid_online("kim")

    run(test)


def test_what_can_not_be_bound_has_a_status(program: Program) -> None:
    async def test() -> None:
        async with program.running() as c, await c.connect() as page:
            assert await program.bind(None, page.client_id) == 204
            assert await c.push.get_all_uid_list() == []
            assert await program.bind(42, "nonsense") == 400
            assert await program.bind(42, NOBODY) == 503
            await page.close()
            await c.settle()
            assert await program.bind(42, page.client_id) == 204  # it has just left

    run(test)


def test_a_strangers_id_has_another_key(program: Program) -> None:
    async def test() -> None:
        async with program.running() as c:
            keys = program.module("keys")
            keys.gateway = program.module("binding").gateway
            own, strange = await c.connect(), await c.connect()
            key = (await own.receive_json())["key"]
            assert (await strange.receive_json())["key"] != key
            assert await asyncio.to_thread(keys.is_its_page, own.client_id, key)
            for client_id, shown in ((strange.client_id, key), (own.client_id, ""), (own.client_id, "é")):
                assert not await asyncio.to_thread(keys.is_its_page, client_id, shown)
            await own.close()
            await c.settle()
            assert not await asyncio.to_thread(keys.is_its_page, own.client_id, key)

    run(test)


def test_with_a_secret_an_id_that_was_made_up_leads_nowhere(program: Program) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            elsewhere.setblocking(False)
            made_up = f"7f000001{elsewhere.getsockname()[1]:04x}00000001"
            async with program.running(secret_key="s3cret"):
                assert await program.bind(42, made_up) == 503
                with pytest.raises(BlockingIOError):
                    elsewhere.accept()

    run(test)


@needs_chromium
def test_the_page_is_bound_whenever_it_connects(program: Program, tmp_path: Path) -> None:
    (page,) = blocks(PAGE, "html")
    urls: list[str] = []

    async def show(request: Request) -> Response:
        return HTMLResponse(page.replace("ws://127.0.0.1:7272", urls[0]))

    async def script(request: Request) -> Response:
        code = (ROOT / "js" / "browser" / "tidegate-client.js").read_text()
        return Response(code, media_type="text/javascript")

    async def bind(request: Request) -> Response:
        body = (await request.body()).decode()
        assert body.startswith("client_id=")
        return Response(status_code=await program.bind(42, body.removeprefix("client_id=")))

    routes = [Route("/", show), Route("/tidegate-client.js", script), Route("/bind", bind, methods=["POST"])]
    web = Worker("http://127.0.0.1:0", app=Starlette(routes=routes))

    async def test() -> None:
        async with program.running(web) as c, async_playwright() as playwright:
            urls.append(c.url)
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            window = await browser.new_page()
            await window.goto(c.addresses[web.name])
            await window.wait_for_function("document.title === 'connected'")
            await c.push.close_uid(42, "come back")
            await window.wait_for_function("document.title === 'come back'")
            await window.wait_for_function("document.title === 'connected'")
            await c.push.send_to_uid(42, "mail")
            await window.wait_for_function("document.title === 'mail'")
            await browser.close()

    run(test)

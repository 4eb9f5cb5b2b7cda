"""docs/fastapi.md: its site, served and asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import itsdangerous
import pytest

from tests.docs.support import DOCS, importable, run
from tidegate import AsyncGatewayClient
from tidegate.testing import cluster
from tidegate.testing.running import Cluster

PAGE = DOCS / "fastapi.md"
SECRET = "for tests"


class Site:
    """The page's program, with its cluster."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._url = ""

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[Cluster]:
        async with cluster(self.module("app").app) as c:
            self._url = c.addresses["web"]
            yield c

    def use(self, push: AsyncGatewayClient) -> None:
        for name in ("web", "later"):
            self.module(name).push = push

    async def ask(self, path: str, user: str | None = "kim", **body: Any) -> Any:
        """GET, or POST where there is a body; gives the status and what the answer says."""
        return await asyncio.to_thread(self._ask, path, user, body)

    def _ask(self, path: str, user: str | None, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if user is not None:
            session = b64encode(json.dumps({"user": user}).encode())
            headers["Cookie"] = f"session={itsdangerous.TimestampSigner(SECRET).sign(session).decode()}"
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._url + path, data, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SESSION_SECRET_KEY", SECRET)
    monkeypatch.setenv("TIDEGATE_CLUSTER", "127.0.0.1:1")
    with importable(PAGE, tmp_path) as module:
        site = Site(module)
        site.module("careful")
        site.module("later")
        yield site


def test_its_endpoints_bind_push_and_ask(site: Site) -> None:
    async def test() -> None:
        async with site.served() as c, await c.connect() as page:
            site.use(c.push)
            init = await page.receive_json()
            assert await site.ask("/bind", None, client_id=init["client_id"]) == (204, "")
            assert await c.push.get_all_uid_list() == []  # a guest
            assert await site.ask("/bind", client_id=init["client_id"]) == (204, "")
            assert await c.push.is_uid_online("kim")
            assert await site.ask("/comment", "lee", to="kim", text="hello") == (204, "")
            assert await page.receive() == "hello"
            await c.push.bind_uid(page.client_id, "kitchen")
            assert (await site.ask("/order", x=1))[0] == 202
            assert await page.receive() == "a new order"

    run(test)


def test_without_a_cluster_endpoints_answer_503(site: Site) -> None:
    async def test() -> None:
        async with site.served():
            status, text = await site.ask("/bind", client_id="7f000001000100000001")
            assert (status, json.loads(text)) == (503, {"error": "the push service is away"})

    run(test)


def test_the_pages_own_test_passes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.module("test_web").test_a_comment_is_on_the_receivers_page_at_once(monkeypatch)

"""docs/flask.md: its site, with requests as a browser makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import session

from tests.docs.support import DOCS, importable, run
from tidegate import AsyncGatewayClient, GatewayClient
from tidegate.testing import cluster

PAGE = DOCS / "flask.md"


class Site:
    """The page's site."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.web = module("web").web

    def use(self, push: GatewayClient) -> None:
        for name in ("web", "careful", "jobs"):
            self.module(name).push = push

    def post(self, path: str, user: str | None = "kim", **form: str) -> Any:
        with self.web.test_client() as browser:
            if user is not None:
                with browser.session_transaction() as cookie:
                    cookie["user"] = user
            return browser.post(path, data=form)

    def get(self, path: str) -> Any:
        with self.web.test_client() as browser:
            return browser.get(path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("FLASK_SECRET_KEY", "for tests")
    monkeypatch.setenv("TIDEGATE_CLUSTER", "127.0.0.1:1")
    with importable(PAGE, tmp_path) as module:
        site = Site(module)
        site.module("careful")
        site.module("jobs")
        yield site


def test_its_views_bind_push_and_ask(site: Site) -> None:
    async def test() -> None:
        async with cluster() as c, await c.connect() as page:
            with GatewayClient(c.address) as push:
                site.use(push)
                bound = await asyncio.to_thread(site.post, "/bind", client_id=page.client_id)
                assert bound.status_code == 204
                assert (await asyncio.to_thread(site.get, "/online/kim")).json == {"online": True}
                said = await asyncio.to_thread(site.post, "/comment", "lee", to="kim", text="hello")
                assert said.status_code == 204
                assert await page.receive() == "hello"
                assert (await asyncio.to_thread(site.post, "/convert")).status_code == 202
                assert [await page.receive() for _ in range(5)] == ["0%", "25%", "50%", "75%", "100%"]

    run(test)


def test_a_guest_is_bound_to_nothing(site: Site) -> None:
    async def test() -> None:
        async with cluster() as c, await c.connect() as page:
            with GatewayClient(c.address) as push:
                site.use(push)
                answer = await asyncio.to_thread(site.post, "/bind", None, client_id=page.client_id)
                assert answer.status_code == 204
                assert await c.push.get_all_uid_list() == []

    run(test)


def test_without_a_cluster_views_answer_503_and_careful_pushes_are_logged(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    assert site.post("/bind", client_id="7f000001000100000001").status_code == 503
    site.module("careful").push_if_possible("kim", "hello")
    assert "not pushed: Register 127.0.0.1:1" in caplog.text


def test_the_session_cookie_is_not_sent_by_other_sites(site: Site) -> None:
    def login() -> str:
        session["user"] = "kim"
        return ""

    site.web.add_url_rule("/login", view_func=login)
    assert "SameSite=Lax" in site.get("/login").headers["Set-Cookie"]


def test_each_async_view_has_a_loop_of_its_own(site: Site) -> None:
    apush = AsyncGatewayClient("127.0.0.1:1")

    async def ask() -> str:
        return str(await apush.is_uid_online("kim"))

    site.web.add_url_rule("/async", view_func=ask)
    assert site.get("/async").status_code == 503  # it has looked for the cluster
    site.web.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match="loop"):
        site.get("/async")


def test_the_pages_own_test_passes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.module("test_web").test_a_comment_is_on_the_receivers_page_at_once(monkeypatch)

"""docs/authentication.md: who may stay, by a token in the address and by the session of a site."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import flask
import itsdangerous
import pytest
from websockets.exceptions import InvalidStatus

from tests.clients import Browser
from tests.docs.support import DOCS, importable, run
from tidegate import BusinessWorker, Client
from tidegate.protocols import Handshake
from tidegate.testing import WebSocketClient, cluster
from tidegate.testing.running import Cluster

PAGE = DOCS / "authentication.md"

Module = Callable[[str], Any]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    monkeypatch.setenv("TOKEN_SECRET", "s3cret")
    monkeypatch.setenv("JWT_KEY", secrets.token_hex(32))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    with importable(PAGE, tmp_path) as module:
        yield module


async def enter(c: Cluster, token: str) -> WebSocketClient:
    return await c.connect("/?token=" + quote(token))


async def is_refused(c: Cluster, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await c.connect(path)
    assert refused.value.response.status_code == 401


def test_the_gateway_lets_in_who_has_a_json_web_token_and_renews_it(module: Module) -> None:
    async def test() -> None:
        make = module("site_tokens").make
        async with cluster(module("staying").app) as c:
            kim = await enter(c, make(42))
            assert await kim.receive() == "Kim is here"
            assert await c.push.get_all_uid_list() == ["42"]
            for path in ("/", "/?token=kim", "/?token=" + make(42, 0), "/?token=" + make(42)[:-1]):
                await is_refused(c, path)
            for token, is_good in ((make(42), True), (make(7), False)):
                await kim.send_json({"type": "token", "token": token})
                assert await kim.receive_json() == {"type": "token", "ok": is_good}

    run(test)


def test_the_gateway_takes_a_ticket_once(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    class Redis:
        kept = {"ticket:abc": b"kim"}  # noqa: RUF012

        async def getdel(self, key: str) -> bytes | None:
            return self.kept.pop(key, None)

    async def test() -> None:
        tickets = module("tickets")
        monkeypatch.setattr(tickets, "tickets", Redis())
        async with cluster(tickets.app) as c:
            kim = await c.connect("/news?ticket=abc")
            await c.settle()
            assert await c.push.get_session(kim.client_id) == {"via": "/news"}
            assert await c.push.get_uid_list_by_group("members") == ["kim"]
            await is_refused(c, "/news?ticket=abc")
            await is_refused(c, "/news")

    run(test)


async def is_denied(client: WebSocketClient) -> None:
    assert await client.receive_json() == {"type": "denied"}
    assert await client.wait_closed() == 1000


def test_who_has_a_token_of_the_site_may_stay_and_nobody_else(module: Module) -> None:
    async def test() -> None:
        make = module("tokens").make
        async with cluster(module("app").business) as c:
            kim, lee = await enter(c, make("kim")), await enter(c, make(7))
            await c.settle()
            assert sorted(await c.push.get_all_uid_list()) == ["7", "kim"]
            await kim.send("hello")
            assert [await each.receive() for each in (kim, lee)] == ["kim: hello"] * 2
            right = make("kim")
            wrong = ("", "kim", "..", "kim.9999999999.", "lee" + right[3:], right[:-1], make("kim", 0), "é.é.é")
            for token in wrong:
                await is_denied(await enter(c, token))
            await is_denied(await c.connect("/"))
            await c.push.close_uid("kim", "you are logged out")
            assert await kim.receive() == "you are logged out"
            assert await kim.wait_closed() == 1000

    run(test)


def test_what_is_sent_along_with_a_request_that_is_denied_does_nothing(module: Module) -> None:
    app = module("app")
    received: list[str] = []

    def receive(client: Client, message: str) -> None:
        received.append(message)
        app.receive(client, message)

    app.business.on_message = receive

    async def test() -> None:
        async with cluster(app.business) as c:
            member = await enter(c, module("tokens").make("kim"))
            stranger = await Browser.connect(int(c.url.rpartition(":")[2]), "let me in")
            assert await stranger.receive() == '{"type": "denied"}'
            assert await stranger.receive() is None
            await c.settle()
            assert received == ["let me in"]
            await member.expect_silence()
            await stranger.close()

    run(test)


def test_a_flask_session_is_read_from_its_cookie(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    site = types.ModuleType("web")
    web = site.web = flask.Flask("site")  # type: ignore[attr-defined]
    web.secret_key = "for tests"
    monkeypatch.setitem(sys.modules, "web", site)
    with web.test_client() as browser:
        with browser.session_transaction() as session:
            session["user"] = "kim"
        cookie = browser.get_cookie("session")
    assert cookie is not None
    business = BusinessWorker()

    @business.on_websocket_connect
    def log_in(client: Client, handshake: Handshake) -> None:
        try:
            client.send(module("flask_session").session_of(handshake)["user"])
        except itsdangerous.BadData:
            client.close("denied")

    async def test() -> None:
        async with cluster(business) as c:
            kim = await c.connect(headers={"Cookie": f"session={cookie.value}"})
            assert await kim.receive() == "kim"
            for headers in ({}, {"Cookie": f"session={cookie.value}x"}, {"Cookie": "session=..."}):
                assert await (await c.connect(headers=headers)).receive() == "denied"

    run(test)


DJANGO = """
import asyncio

from django.conf import settings

settings.configure(
    SECRET_KEY="for tests",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
import django

django.setup()
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

with connection.schema_editor() as editor:
    labels = ("contenttypes", "auth", "sessions")
    for model in [model for label in labels for model in apps.get_app_config(label).get_models()]:
        editor.create_model(model)
kim = User.objects.create_user("kim")
browser = Client()
browser.force_login(kim)
cookie = browser.cookies["sessionid"].value

import members

from tidegate.testing import cluster


async def main():
    async with cluster(members.business, raise_errors=False) as c:
        async def end(origin, cookie):
            client = await c.connect(headers={"Cookie": f"sessionid={cookie}"} | ({"Origin": origin} if origin else {}))
            await c.settle()
            return client, await client.receive() if client.close_code else None

        page, said = await end("https://example.com", cookie)
        assert said is None, said
        assert await c.push.get_uid_by_client_id(page.client_id) == str(kim.pk)
        for origin, key in (("https://evil.example", cookie), ("", cookie), ("https://example.com", "x" * 32)):
            assert (await end(origin, key))[1] == "denied"
        await asyncio.to_thread(break_it)
        assert (await end("https://example.com", cookie))[1] == "try again"
        assert "no such table" in str(c.errors.pop())
        assert await c.push.get_all_client_id_list() == [page.client_id]


def break_it():
    with connection.cursor() as cursor:
        cursor.execute("drop table django_session")
    connection.close()


connection.close()
asyncio.run(main())
"""


def test_a_django_session_names_the_user_and_only_to_the_sites_own_pages(module: Module, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(DJANGO)
    command = [sys.executable, "-W", "error", "check.py"]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr

"""Who may come in to a gateway, as what, and for how long."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.gateway.auth import KEY, Book, counted, status, token, web
from tests.net.support import Runner, until
from tests.ports import free_port
from tidegate import Gateway, Identity, JWTAuth
from tidegate.errors import ConfigurationError
from tidegate.process.settings import GatewaySettings
from tidegate.protocols import Handshake
from tidegate.testing import cluster

# Coming in


def test_uid_groups_and_session_are_there_in_on_connect(run: Runner) -> None:
    def auth(handshake: Handshake) -> Identity | None:
        assert handshake.remote_ip == "127.0.0.1"
        name = handshake.query.get("name")
        return Identity(name, {"name": name.title()}, groups=["all", 7]) if name else None

    async def main() -> None:
        book, member = Book(), web(auth)
        async with cluster(member, book.worker) as c:
            await c.connect("/?name=kim")
            await c.settle()
            assert book.seen == [({"name": "Kim"}, "kim", ["7", "all"])]
            assert await status(c) == 401
            assert counted(member)["refused_auth"] == 1
            await c.settle()
            assert len(book.seen) == 1

    run(main())


def test_a_guest_has_no_uid(run: Runner) -> None:
    async def main() -> None:
        book = Book()
        async with cluster(web(lambda handshake: Identity(None)), book.worker) as c:
            await c.connect()
            await c.settle()
            assert book.seen == [({}, None, [])]

    run(main())


def test_a_token_makes_the_uid_and_the_session(run: Runner) -> None:
    async def main() -> None:
        book, member = Book(), web()
        async with cluster(member, book.worker) as c:
            shown = token(42, seconds=None, name="Lee")
            await c.connect(f"/?token={shown}")
            await c.connect(headers={"Authorization": f"Bearer {shown}"})
            await c.connect(headers={"Cookie": f"token={shown}"})
            by_subprotocol = await c.connect(subprotocols=["jwt", shown])
            assert by_subprotocol.subprotocol == "jwt"  # and never the token
            await c.settle()
            assert book.seen == [({"sub": 42, "name": "Lee"}, "42", [])] * 4
            for path in ("/", "/?token=", f"/?token={shown}x", f"/?token={token(seconds=-1)}"):
                assert await status(c, path) == 401
            assert counted(member)["refused_auth"] == 4

    run(main())


def test_a_subprotocol_of_the_apps_own_may_stand_before_the_tokens(run: Runner) -> None:
    async def main() -> None:
        async with cluster(web(subprotocols=["chat"])) as c:
            assert (await c.connect(subprotocols=["chat", "jwt", token()])).subprotocol == "chat"

    run(main())


def test_a_refusal_is_an_http_answer_that_names_its_scheme(run: Runner) -> None:
    async def main() -> None:
        async with cluster(web()) as c:
            with pytest.raises(InvalidStatus) as refused:
                await c.connect(f"/?token={token()}x")
            answer = refused.value.response
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert KEY.encode() not in (answer.body or b"")

    run(main())


def test_origins_are_looked_at_before_anybody_is_asked(run: Runner) -> None:
    async def main() -> None:
        asked: list[Handshake] = []
        member = web(asked.append, origins=["https://example.com"])
        async with cluster(member) as c:
            with pytest.raises(InvalidStatus) as refused:
                await c.connect(headers={"Origin": "https://evil.example"})
            assert (refused.value.response.status_code, asked) == (403, [])
            assert counted(member)["refused_origins"] == 1

    run(main())


def test_a_function_may_take_its_time_and_so_many_run_at_once(run: Runner) -> None:
    async def main() -> None:
        running, most, go_on = 0, 0, asyncio.Event()

        async def auth(handshake: Handshake) -> Identity | None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go_on.wait()
            running -= 1
            return Identity(handshake.query["name"])

        book = Book()
        async with cluster(web(auth, auth_concurrency=2), book.worker) as c:
            coming = [asyncio.create_task(c.connect(f"/?name={name}")) for name in "abcde"]
            await until(lambda: running == 2)
            go_on.set()
            await asyncio.gather(*coming)
            await c.settle()
            assert most == 2
            assert sorted(uid for _, uid, _ in book.seen) == list("abcde")

    run(main())


@pytest.mark.parametrize(
    "found",
    [ValueError("boom"), "kim", Identity(""), Identity(1.5), Identity("kim", {"a": object()}),  # type: ignore[arg-type]
     Identity("kim", groups=[""]), Identity("kim", groups="ab"), Identity("kim", expires_at=float("nan")),
     Identity("kim", expires_at="soon"), Identity("kim", {"a": "x" * 600_000}),  # type: ignore[arg-type]
     Identity("kim", groups=range(10_001))],
    ids=range(11),
)  # fmt: skip
@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_fails_lets_nobody_in_and_is_logged(
    found: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def auth(handshake: Handshake) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    async def later(handshake: Handshake) -> Any:
        await asyncio.sleep(0)
        return auth(handshake)

    async def main() -> None:
        member = web(later if is_async else auth, max_packet_size=1_000_000)
        async with cluster(member, raise_errors=False) as c:
            assert await status(c) == 500
            assert counted(member)["failed_auth"] == 1
            assert counted(member)["connections"] == 0

    asyncio.run(main())
    assert "web: auth failed for a client from 127.0.0.1, who gets a 500" in caplog.text
    assert "Traceback" in caplog.text


# Settings


@pytest.mark.parametrize("address", ["text://127.0.0.1:1", "frame://127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_a_door_without_a_handshake_has_no_auth(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"auth= needs a websocket:// address: \w+:// has no handshake"):
        Gateway(address, auth=JWTAuth(KEY, ["HS256"]))


def test_auth_is_something_that_can_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="auth of gateway 'web': it takes a function"):
        web("kim").settings({})
    monkeypatch.setenv("TIDEGATE_AUTH", KEY)
    with pytest.raises(ConfigurationError) as failed:
        Gateway("websocket://127.0.0.1:0").settings({})
    assert KEY not in str(failed.value)


def test_jwt_of_plain_values_needs_the_users_module_in_no_gateway() -> None:
    port = free_port()
    row = Gateway(f"websocket://127.0.0.1:{port}", auth=JWTAuth(KEY, ["HS256"], "push")).describe({})
    again = Gateway.from_settings(json.loads(json.dumps(row)))
    auth = again.settings({}).auth
    assert isinstance(auth, JWTAuth)
    identity = auth.verify(token(aud="push"))
    assert identity is not None
    assert identity.uid == "kim"
    function = Gateway(f"websocket://127.0.0.1:{port}", auth=lambda handshake: None).describe({})
    assert "settings" not in function


def test_settings_show_no_key() -> None:
    assert KEY not in repr(GatewaySettings(auth=JWTAuth(KEY, ["HS256"])))


def test_what_is_weak_is_said_at_the_start(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        for origins in (None, ["https://example.com"]):
            caplog.clear()
            async with cluster(web(JWTAuth("short", ["HS256"], cookie="token"), origins=origins)):
                pass
            assert ("set origins= to your own" in caplog.text) is (origins is None)
            assert "The HMAC key is 5 bytes long" in caplog.text

    caplog.set_level(logging.WARNING, "tidegate")
    run(main())

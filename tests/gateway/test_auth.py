"""Who may come in to a gateway, as what, and for how long."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tests.gateway.support import Peer, gateway
from tests.net.support import Runner, WebSocketClient, until
from tests.ports import free_port
from tidegate import BusinessWorker, Client, Gateway, GatewayClient, Identity, JWTAuth
from tidegate.errors import ClusterError, ConfigurationError
from tidegate.net import reactor
from tidegate.process.settings import GatewaySettings
from tidegate.protocols import Handshake
from tidegate.testing import WebSocketClient as Visitor
from tidegate.testing import cluster
from tidegate.testing.running import Cluster
from tidegate.wire import commands, php

KEY = os.urandom(32).hex()


def token(sub: str | int = "kim", seconds: float | None = 60, **claims: Any) -> str:
    end = {} if seconds is None else {"exp": int(time.time() + seconds)}
    return jwt.encode({"sub": sub, **end, **claims}, KEY)


def web(auth: Any = None, **settings: Any) -> Gateway:
    auth = auth or JWTAuth(KEY, ["HS256"], cookie="token", subprotocol="jwt")
    return Gateway("websocket://127.0.0.1:0", name="web", auth=auth, **settings)


async def status(c: Cluster, path: str = "/") -> int:
    """Of the answer to somebody who is not let in."""
    with pytest.raises(InvalidStatus) as refused:
        await c.connect(path)
    return refused.value.response.status_code


def counted(member: Gateway) -> dict[str, Any]:
    snapshot = member.snapshot()
    return {**snapshot, **snapshot["extra"]}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of the process's clock is a moment."""
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)


class Book:
    """A worker that writes down what it sees of clients as they come."""

    def __init__(self) -> None:
        self.worker = BusinessWorker()
        self.seen: list[Any] = []
        self.worker.on_connect = self._connect

    async def _connect(self, client: Client) -> None:
        uid = await self.worker.get_uid_by_client_id(client.id)
        groups = await self.worker.get_all_group_id_list()
        self.seen.append((dict(client.session), uid, sorted(groups)))


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
     Identity("kim", expires_at="soon"), Identity("kim", {"a": "x" * 600_000})],  # type: ignore[arg-type]
    ids=range(10),
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


# Staying


def test_at_its_end_a_connection_is_closed_with_4401(run: Runner, quick: None) -> None:
    async def main() -> None:
        end = time.time() + 0.1
        member = web(lambda handshake: Identity("kim", expires_at=end))
        async with cluster(member) as c:
            kim = await c.connect()
            assert await kim.wait_closed() == 4401
            assert kim.close_reason == "your token has expired"
            assert time.time() >= end
            assert counted(member)["expired_clients"] == 1

    run(main())


def renewals(c: Cluster, worker: BusinessWorker, client_id: str) -> list[Any]:
    """Every way to renew."""

    def blocking(shown: str) -> Any:
        with GatewayClient(c.address) as push:
            return push.renew_auth(client_id, shown)

    async def in_thread(shown: str) -> Any:
        return await asyncio.to_thread(blocking, shown)

    async def sync(shown: str) -> Any:
        return await asyncio.to_thread(worker.sync.renew_auth, client_id, shown)

    return [
        in_thread,
        sync,
        lambda shown: c.push.renew_auth(client_id, shown),
        lambda shown: worker.renew_auth(client_id, shown),
    ]


def test_a_new_token_prolongs_it_in_every_way_and_a_wrong_one_changes_nothing(run: Runner, quick: None) -> None:
    async def main() -> None:
        worker, member = BusinessWorker(), web()
        async with cluster(member, worker) as c:
            kim = await c.connect(f"/?token={token(seconds=3600, name='Kim')}")
            entrance = member._entrance
            assert entrance is not None
            (client,) = entrance._expiry._times
            for number, way in enumerate(renewals(c, worker, kim.client_id)):
                end = int(time.time()) + 7200 + number
                assert await way(token(seconds=7200 + number)) is True
                assert end <= entrance._expiry._times[client] <= end + 2
                kept = entrance._expiry._times[client]
                wrong = (token("lee"), token(seconds=-1), token() + "x", "no token", jwt.encode({"exp": 1}, KEY))
                for shown in wrong:
                    assert await way(shown) is False
                assert entrance._expiry._times[client] == kept
            assert counted(member)["refused_renewals"] == 20
            assert (await c.push.get_session(kim.client_id) or {})["name"] == "Kim"
            assert await c.push.renew_auth(kim.client_id, token(seconds=None)) is True
            assert len(entrance._expiry) == 0
            await c.push.close_client(kim.client_id)
            assert await c.push.renew_auth(kim.client_id, token()) is False

    run(main())


def test_a_handler_renews_its_client(run: Runner, quick: None) -> None:
    async def main() -> None:
        worker = BusinessWorker()

        @worker.on_message
        async def receive(client: Client, message: str) -> None:
            client.send(str(await client.renew_auth(message)))

        async with cluster(web(), worker) as c:
            kim = await c.connect(f"/?token={token(seconds=1.5)}")
            await kim.send(token("lee"))
            await kim.send(token())
            assert [await kim.receive(), await kim.receive()] == ["False", "True"]
            await asyncio.sleep(0.2)
            (client,) = [client for gateway in worker._here.gateways.all for client in gateway.clients.values()]
            with pytest.raises(RuntimeError, match=r"call sync\.renew_auth"):
                await asyncio.to_thread(client.renew_auth, token())

    run(main())


class Ticket:
    """An auth of one's own, by tickets."""

    def __call__(self, handshake: Handshake) -> Identity | None:
        return self.verify(handshake.query["ticket"])

    def verify(self, ticket: str) -> Identity | None:
        if ticket == "broken":
            raise RuntimeError("no database")
        uid, _, seconds = ticket.partition(":")
        return Identity(uid, expires_at=time.time() + float(seconds))


def test_an_object_of_ones_own_verifies_as_well(run: Runner) -> None:
    async def main() -> None:
        member = web(Ticket())
        async with cluster(member, raise_errors=False) as c:
            kim = await c.connect("/?ticket=kim:60")
            assert await c.push.renew_auth(kim.client_id, "kim:600") is True
            assert await c.push.renew_auth(kim.client_id, "lee:600") is False
            assert await c.push.renew_auth(kim.client_id, "broken") is False

    run(main())


@pytest.mark.parametrize(
    ("auth", "message"), [(None, "has no auth="), (lambda handshake: Identity("kim"), "it takes a JWTAuth")]
)
def test_where_nothing_can_verify_the_caller_is_told(run: Runner, auth: Any, message: str) -> None:
    async def main() -> None:
        worker = BusinessWorker()
        member = web(auth) if auth else Gateway("websocket://127.0.0.1:0")
        async with cluster(member, worker) as c:
            kim = await c.connect()
            for way in renewals(c, worker, kim.client_id):
                with pytest.raises(ConfigurationError, match=f"can't renew_auth: .*{message}"):
                    await way(token())

    run(main())


def test_a_gateway_that_is_not_tidegates_is_not_asked(run: Runner) -> None:
    async def main() -> None:
        async with cluster(web()) as c:
            with pytest.raises(ClusterError, match="is not known to Register"):
                await c.push.renew_auth("7f000001ffff00000001", token())
            for wrong in ("", b"bytes", None):
                with pytest.raises((ValueError, TypeError), match="token"):
                    await c.push.renew_auth("7f000001ffff00000001", wrong)  # type: ignore[arg-type]

    run(main())


def test_an_answer_is_a_number_or_a_text(run: Runner) -> None:
    async def main() -> None:
        async with gateway(auth=JWTAuth(KEY, ["HS256"])) as place:
            with (
                await Peer.connect(place.inner) as push,
                await WebSocketClient.open(place.port, path=f"/?token={token()}"),
            ):
                (number,) = place.gateway.connections
                for shown, answer in ((token(), 1), ("\xff", 0), ("", 0), ("x" * 100_000, 0)):
                    await push.tell(commands.RENEW_AUTH, number, body=shown.encode("latin-1"))
                    assert php.loads(await push.answer()) == answer
                await push.tell(commands.RENEW_AUTH, 12345, body=token().encode())
                assert php.loads(await push.answer()) == 0

    run(main())


def test_who_has_been_given_another_uid_needs_a_token_for_that(run: Runner) -> None:
    async def main() -> None:
        async with cluster(web()) as c:
            kim = await c.connect(f"/?token={token()}")
            await c.push.bind_uid(kim.client_id, "lee")
            await c.push.flush()
            assert await c.push.renew_auth(kim.client_id, token()) is False
            assert await c.push.renew_auth(kim.client_id, token("lee")) is True

    run(main())


def test_who_has_gone_is_not_kept(run: Runner) -> None:
    async def main() -> None:
        member = web()
        async with cluster(member) as c:
            assert member._entrance is not None
            clients = [await c.connect(f"/?token={token()}") for _ in range(3)]
            assert len(member._entrance._expiry) == 3
            await asyncio.gather(*map(Visitor.close, clients))
            await until(lambda: member._entrance is not None and len(member._entrance._expiry) == 0)

    run(main())


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

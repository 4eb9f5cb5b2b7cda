"""For how long clients whom `auth` has let in may stay."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest

from tests.gateway.auth import KEY, counted, token, web
from tests.gateway.support import Peer, gateway
from tests.net.support import Runner, WebSocketClient, until
from tidegate import BusinessWorker, Client, Gateway, GatewayClient, Identity, JWTAuth
from tidegate.errors import ClusterError, ConfigurationError
from tidegate.protocols import Handshake
from tidegate.testing import WebSocketClient as Visitor
from tidegate.testing import cluster
from tidegate.testing.running import Cluster
from tidegate.wire import commands, php


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

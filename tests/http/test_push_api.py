"""The app in a site of one's own, in any event loop, with a cluster or without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.business.support import ScriptedGateway, cluster, names
from tests.cluster.support import ScriptedRegister
from tests.http.support import TOKEN, ask, post
from tests.net.support import Runner, serving
from tests.ports import free_port
from tests.process.support import Place
from tests.whole.support import Cluster, browsers, in_time
from tidegate import Worker
from tidegate.errors import ConfigurationError
from tidegate.http import PushApp, push_api, registered
from tidegate.wire import commands

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def test_mounted_in_a_site_it_pushes_to_browsers(place: Place) -> None:
    whole = Cluster(place, "", count=1, workers=1)

    async def main() -> None:
        push = push_api(cluster=whole.address, token=TOKEN)

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            await push.aclose()

        site = Starlette(routes=[Mount("/push", push)], lifespan=lifespan)
        async with serving(Worker("http://127.0.0.1:0", app=site)) as port, browsers(whole, 2) as clients:
            while (await ask(port, "/push/?method=getAllClientCount", headers=HEADERS)).json != 2:
                pass
            assert (await ask(port, "/push/?method=sendToAll&args[]=hello", headers=HEADERS)).text == "ok"
            assert [await client.read_text() for client in clients] == ["hello", "hello"]
            done = await ask(port, "/push/api/send_to_all", "POST", b'{"message": "again"}', HEADERS)
            assert done.json == {"result": None}
            assert [await client.read_text() for client in clients] == ["again", "again"]
            assert (await ask(port, "/push/openapi.json")).status == 401

    in_time(main())


def test_a_cluster_that_is_down_is_503_and_comes_back(run: Runner) -> None:
    async def main() -> None:
        gateway = ScriptedGateway()
        gateway.answer = lambda asked: b"i:3;" if asked[0] == commands.GET_CLIENT_COUNT_BY_GROUP else None
        async with cluster(gateway) as register:
            app = push_api(cluster=[register.place])
            async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
                assert (await post(port, "send_to_all", message="hi")).status == 200
                await gateway.stop()
                assert (await post(port, "get_all_client_count")).status == 503
                await gateway.start()
                assert (await post(port, "get_all_client_count")).json == {"result": 3}
        app = push_api(cluster=f"127.0.0.1:{free_port()}")
        async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
            done = await post(port, "send_to_all", message="hi")
            assert done.status == 503
            assert "Register 127.0.0.1:" in done.json["error"]

    run(main())


def test_a_client_ids_gateway_is_not_connected_to_unless_register_names_it(run: Runner) -> None:
    async def main() -> None:
        gateway, stranger = ScriptedGateway(), ScriptedGateway()
        gateway.answer = stranger.answer = lambda asked: b"i:1;"
        async with cluster(gateway) as register, stranger:
            app = push_api(cluster=register.place)
            async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
                assert (await post(port, "is_online", client_id=gateway.client_id(1))).json == {"result": True}
                done = await post(port, "is_online", client_id=stranger.client_id(1))
                assert (done.status, done.json["argument"]) == (404, "client_id")
                assert (await post(port, "send_to_all", message="hi", client_ids=stranger.client_id(1))).status == 404
                assert stranger.received == []
        app = push_api(cluster=f"127.0.0.1:{free_port()}")
        async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
            assert (await post(port, "is_online", client_id=stranger.client_id(1))).status == 503

    run(main())


def test_a_gateway_that_register_named_is_reached_while_register_is_away(run: Runner, monkeypatch: Any) -> None:
    monkeypatch.setattr(registered, "KEEP_SECONDS", 0)

    async def main() -> None:
        async with ScriptedGateway() as gateway:
            gateway.answer = lambda asked: b"i:1;"
            async with ScriptedRegister(names([gateway])) as register:
                app = push_api(cluster=register.place)
                server = serving(Worker("http://127.0.0.1:0", app=app))
                port = await server.__aenter__()
                assert (await post(port, "is_online", client_id=gateway.client_id(1))).status == 200
            assert (await post(port, "is_online", client_id=gateway.client_id(1))).json == {"result": True}
            await server.__aexit__(None, None, None)

    run(main())


def test_each_event_loop_has_connections_of_its_own(run: Runner) -> None:
    app: list[PushApp] = []

    async def main() -> int:
        async with cluster(ScriptedGateway()) as register:
            app[:] = app or [push_api(cluster=register.place)]
            async with serving(Worker("http://127.0.0.1:0", app=app[0])) as port:
                return (await post(port, "send_to_all", message="hi")).status

    assert run(main()) == 200
    assert run(main()) == 503  # that Register is gone; the loop is not in the way


@pytest.mark.parametrize("options", [{"cluster": "nonsense"}, {"secret_key": '"'}, {"token": ""}])
def test_what_can_not_be_used_is_an_error_at_once(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        push_api(**options)


def test_requests_at_the_same_time_share_the_connections(run: Runner) -> None:
    async def main() -> None:
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            app = push_api(cluster=register.place)
            async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
                answers = await asyncio.gather(*(post(port, "send_to_all", message=str(n)) for n in range(50)))
                assert {answer.status for answer in answers} == {200}
                await post(port, "flush")

    run(main())

"""docs/login-deadline.md: strangers are closed, also those whose worker has gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tidegate import Gateway
from tidegate.testing import WebSocketClient, cluster

PAGE = DOCS / "login-deadline.md"
LOGIN = {"type": "login", "uid": "kim", "password": "k1m"}

Load = Callable[[str], Any]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the page's program anew, with a deadline that does not come during a test."""

    def load(name: str) -> Any:
        with importable(PAGE, tmp_path, {"LOGIN_SECONDS = 30": "LOGIN_SECONDS = 60"}) as module:
            return module(name)

    return load


async def is_too_late(client: WebSocketClient) -> None:
    assert await client.receive_json() == {"type": "login_timeout"}
    assert await client.wait_closed() == 1000


def test_a_stranger_is_closed_and_who_has_logged_in_stays(load: Load) -> None:
    async def test() -> None:
        app = load("app")
        async with cluster(app.business) as c:
            kim, guest, passer = [await c.connect() for _ in range(3)]
            await c.settle()
            assert len(app.timers) == 3
            await kim.send_json(LOGIN)
            await guest.send_json({**LOGIN, "password": "guessed"})
            await guest.send_json({"type": "say", "text": "not heard"})
            await passer.close()
            await c.settle()
            assert set(app.timers) == {guest.client_id}
            app.LOGIN_SECONDS = 0.05
            await is_too_late(await c.connect())
            await kim.send_json({"type": "say", "text": "hello"})
            assert await kim.receive() == "kim: hello"
            await c.push.close_client(guest.client_id)
            await guest.wait_closed()
            await c.settle()
            assert app.timers == {}
            assert await c.push.get_all_client_id_list() == [kim.client_id]

    run(test)


def test_a_login_that_another_worker_has_seen_counts(load: Load) -> None:
    def by_event(workers: Any, client: Any, event: str) -> Any:
        return sorted(workers, key=lambda worker: str(worker.key))[event == "message"]

    async def test() -> None:
        first, second = load("app"), load("app")
        first.business.name, second.business.name = "a", "b"
        gateway = Gateway("websocket://127.0.0.1:0", router=by_event)
        async with cluster(gateway, first.business, second.business) as c:
            kim, stranger = await c.connect(), await c.connect()
            await kim.send_json(LOGIN)
            await c.settle()
            assert len(first.timers) == 2
            assert await c.push.get_uid_by_client_id(kim.client_id) == "kim"
            for client in kim, stranger:  # as the timers do
                await first.close_stranger(client.client_id)
            await is_too_late(stranger)
            assert await c.push.is_online(kim.client_id)

    run(test)


def test_strangers_whose_worker_has_gone_are_closed_by_another(load: Load) -> None:
    def first_while_it_is_there(workers: Any, client: Any, event: str) -> Any:
        return min(workers, key=lambda worker: str(worker.key))

    async def test() -> None:
        first, second = load("app"), load("lasting")
        first.business.name, second.business.name = "a", "b"
        gateway = Gateway("websocket://127.0.0.1:0", router=first_while_it_is_there)
        async with cluster(gateway, first.business, second.business) as c:
            clients = [await c.connect() for _ in range(8)]
            for kim in clients[::2]:
                await kim.send_json(LOGIN)
            await c.settle()
            assert set(first.timers) == {stranger.client_id for stranger in clients[1::2]}
            await first.business.stop(reload=True)
            late = await c.connect()
            await second.close_strangers()
            assert await c.push.get_all_client_count() == 9
            await late.send_json(LOGIN)
            await c.settle()
            await second.close_strangers()
            for stranger in clients[1::2]:
                await is_too_late(stranger)
            await c.settle()
            members = {late.client_id, *(kim.client_id for kim in clients[::2])}
            assert set(await c.push.get_all_client_id_list()) == members

    run(test)


def test_it_is_looked_for_strangers_again_and_again(load: Load) -> None:
    async def test() -> None:
        lasting = load("lasting")
        lasting.LOGIN_SECONDS = 0.05
        lasting.business.on_connect = None  # no timers, which would be sooner
        # A look that comes before the link to the gateway is logged as an error, as the page says.
        async with cluster(lasting.business, raise_errors=False) as c:
            for _ in range(2):
                await is_too_late(await c.connect())

    run(test)

"""docs/login-deadline.md: strangers are closed, also those whose worker has gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tests.net.support import until
from tidegate import Gateway
from tidegate.testing import WebSocketClient, cluster

PAGE = DOCS / "login-deadline.md"
LOGIN = {"type": "login", "uid": "kim", "password": "k1m"}

Load = Callable[[str, float], Any]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the page's program anew, with another deadline."""

    def load(name: str, seconds: float) -> Any:
        with importable(PAGE, tmp_path, {"LOGIN_SECONDS = 30": f"LOGIN_SECONDS = {seconds}"}) as module:
            return module(name)

    return load


async def is_too_late(client: WebSocketClient) -> None:
    assert await client.receive_json() == {"type": "login_timeout"}
    assert await client.wait_closed() == 1000


def test_a_stranger_is_closed_and_who_has_logged_in_stays(load: Load) -> None:
    async def test() -> None:
        app = load("app", 0.2)
        async with cluster(app.business) as c:
            kim, stranger, guest, passer = [await c.connect() for _ in range(4)]
            await c.settle()
            assert len(app.timers) == 4
            await kim.send_json(LOGIN)
            await stranger.send_json({**LOGIN, "password": "guessed"})
            await guest.send_json({"type": "say", "text": "not heard"})
            await passer.close()
            await c.settle()
            assert set(app.timers) == {stranger.client_id, guest.client_id}
            await is_too_late(stranger)
            await is_too_late(guest)
            await kim.send_json({"type": "say", "text": "hello"})
            assert await kim.receive() == "kim: hello"
            assert app.timers == {}
            assert await c.push.get_all_client_id_list() == [kim.client_id]

    run(test)


def test_a_login_that_another_worker_has_seen_counts(load: Load) -> None:
    async def test() -> None:
        first, second = load("app", 0.1), load("app", 60)
        gateway = Gateway("websocket://127.0.0.1:0", router=lambda workers, client, event: by_event(workers, event))

        def by_event(workers: Any, event: str) -> Any:
            return sorted(workers, key=lambda worker: str(worker.key))[event == "message"]

        first.business.name, second.business.name = "a", "b"
        async with cluster(gateway, first.business, second.business) as c:
            kim, stranger = await c.connect(), await c.connect()
            await kim.send_json(LOGIN)
            await c.settle()
            assert len(first.timers) == 2
            assert await c.push.get_uid_by_client_id(kim.client_id) == "kim"
            await is_too_late(stranger)
            await until(lambda: not first.timers)
            assert await c.push.is_online(kim.client_id)

    run(test)


def test_strangers_whose_worker_has_gone_are_closed_by_its_successor(load: Load) -> None:
    async def test() -> None:
        first, second = load("app", 60), load("lasting", 0.1)
        async with cluster(first.business, second.business) as c:
            clients = [await c.connect() for _ in range(8)]
            for kim in clients[::2]:
                await kim.send_json(LOGIN)
            await c.settle()
            assert first.timers
            await first.business.stop(reload=True)
            for stranger in clients[1::2]:
                await is_too_late(stranger)
            await c.settle()
            members = {kim.client_id for kim in clients[::2]}
            assert set(await c.push.get_client_id_list_by_group("members")) == members
            assert set(await c.push.get_all_client_id_list()) == members

    run(test)

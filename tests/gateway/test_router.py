"""Where clients' events go: one worker for each, chosen as is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.scripted import Worker, received
from tidegate.wire.commands import ON_CLOSE, ON_CONNECT, ON_MESSAGE

# Choosing


def test_a_new_client_goes_to_the_worker_with_the_fewest(worlds: Any) -> None:
    world = worlds()
    workers = [Worker(world, key) for key in "abc"]
    clients = [world.connect() for _ in range(6)]
    assert [worker.peer.clients for worker in workers] == [2, 2, 2]
    for client in clients[:3]:
        peer = client.peer
        world.leave(client)
        assert world.connect().peer is peer


def test_of_equals_any_may_get_a_new_client(worlds: Any) -> None:
    world = worlds()
    workers = [Worker(world, key) for key in "abc"]
    first: set[Any] = set()
    while len(first) < len(workers):  # each is one gateway's first client
        client = world.connect()
        first.add(client.peer)
        world.leave(client)
        for worker in workers:
            worker.work_off()


def test_at_random_all_workers_get_clients(worlds: Any) -> None:
    world = worlds("random")
    workers = [Worker(world, key) for key in "abc"]
    for _ in range(200):
        world.connect()
        for worker in workers:
            worker.work_off()
    assert all(worker.peer.clients > 20 for worker in workers)


def test_all_events_of_a_client_go_to_one_worker(worlds: Any) -> None:
    world = worlds()
    first = Worker(world, "a")
    client = world.connect()
    second = Worker(world, "b")
    world.connect()
    world.say(client, 2)
    world.leave(client)
    assert received(first) == [(ON_CONNECT, 1), (ON_MESSAGE, 1), (ON_MESSAGE, 1), (ON_CLOSE, 1)]
    assert received(second) == [(ON_CONNECT, 2)]


def test_a_worker_that_comes_back_under_its_key_keeps_its_clients(worlds: Any) -> None:
    world = worlds()
    first = Worker(world, "a")
    client = world.connect()
    second = Worker(world, "b")
    other = world.connect()
    first.work_off()
    first.die()
    again = Worker(world, "a")
    world.say(client)
    world.say(other)
    assert received(again) == [(ON_MESSAGE, 1)]
    assert received(second) == [(ON_CONNECT, 2), (ON_MESSAGE, 2)]


def test_while_its_worker_is_gone_the_next_event_of_a_client_chooses_another(worlds: Any) -> None:
    world = worlds()
    first = Worker(world, "a")
    client = world.connect()
    second = Worker(world, "b")
    first.work_off()
    first.die()
    world.say(client)
    Worker(world, "a")
    world.say(client)
    assert received(second) == [(ON_MESSAGE, 1), (ON_MESSAGE, 1)]


def test_a_users_function_is_asked_at_each_event(worlds: Any) -> None:
    asked = []

    def choose(workers: Any, client: Any, event: str) -> Any:
        asked.append((len(workers), client.id, event))
        return workers[len(asked) % len(workers)]

    world = worlds(choose)
    first, second = Worker(world, "a"), Worker(world, "b")
    client = world.connect()
    world.say(client, 2)
    world.leave(client)
    assert asked == [(2, 1, "connect"), (2, 1, "message"), (2, 1, "message"), (2, 1, "close")]
    assert received(second) == [(ON_CONNECT, 1), (ON_MESSAGE, 1)]
    assert received(first) == [(ON_MESSAGE, 1), (ON_CLOSE, 1)]
    assert (first.peer.clients, second.peer.clients) == (0, 0)


def raising(*_: Any) -> Any:
    raise RuntimeError("no idea")


@pytest.mark.parametrize("choose", [raising, lambda *_: None, lambda *_: "a", lambda workers, *_: list(workers)])
def test_where_a_users_function_fails_the_worker_with_the_fewest_clients_serves(
    worlds: Any, choose: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world = worlds(choose)
    worker = Worker(world, "a")
    client = world.connect()
    for _ in range(100):
        world.say(client)
        worker.work_off()
    assert client.started == client.sent
    assert world.router.stats.router_errors == 101
    assert len(caplog.records) < 20
    assert caplog.records[0].exc_info


def test_a_gone_worker_is_forgotten_with_its_last_client(worlds: Any) -> None:
    world = worlds()
    worker = Worker(world, "a")
    client = world.connect()
    worker.work_off()
    worker.die()
    assert world.router._peers
    world.leave(client)
    assert world.router._peers == {}

"""What becomes of clients' events where no worker takes them: they wait, in order, and not for ever."""

from __future__ import annotations

from typing import Any

from tests.gateway.scripted import LIMIT, Worker, World, received
from tidegate.wire.commands import ON_CLOSE, ON_CONNECT, ON_MESSAGE, ON_WEBSOCKET_CONNECT

# No worker


def test_without_a_worker_events_wait_in_order(worlds: Any) -> None:
    world = worlds()
    client, other = world.connect(), world.connect()
    world.say(client, 3)
    world.leave(other)
    world.say(client)
    worker = Worker(world, "a")
    assert received(worker) == [(ON_CONNECT, 1), *[(ON_MESSAGE, 1)] * 4, (ON_CONNECT, 2), (ON_CLOSE, 2)]
    assert client.started == client.sent


def test_a_client_with_many_events_waiting_is_read_from_no_more(worlds: Any) -> None:
    world = worlds()
    client = world.connect()
    while not client.is_paused:
        world.say(client)
    assert len(client.sent) == 100
    Worker(world, "a").work_off()
    assert not client.is_paused
    assert client.started == client.sent


def test_when_no_worker_comes_in_time_the_client_is_closed_and_its_events_counted(worlds: Any) -> None:
    world = worlds(wait_seconds=5)
    client = world.connect()
    world.say(client, 2)
    world.router._reactor.now += 4.9
    world.router.sweep()
    assert client.closed is None
    world.router._reactor.now += 0.2
    world.router.sweep()
    assert client.closed == 1013
    assert world.router.stats.events_dropped == 3
    assert world.router.waiting == 0


def test_no_worker_hears_of_the_end_of_a_client_that_none_had_heard_of(worlds: Any) -> None:
    world = worlds(wait_limit=150)
    world.connect()
    given_up = world.connect()
    assert given_up.closed == 1013
    world.router.event(given_up, ON_WEBSOCKET_CONNECT, b"x")
    world.leave(given_up)
    assert received(Worker(world, "a")) == [(ON_CONNECT, 1)]
    assert world.router.stats.events_dropped == 2
    assert world.router._refused == set()


def test_the_next_worker_hears_of_the_end_of_a_client_that_another_knew(worlds: Any) -> None:
    world = worlds()
    worker = Worker(world, "a")
    client = world.connect()
    worker.work_off()
    worker.die()
    world.leave(client)
    assert received(Worker(world, "b")) == [(ON_CLOSE, 1)]


def test_over_the_limit_of_what_may_wait_a_client_is_closed_and_those_that_wait_are_kept(worlds: Any) -> None:
    world = worlds(wait_limit=1000)
    kept = world.connect()
    world.say(kept, 3)
    greedy = world.connect()
    world.say(greedy, 1, 1000)
    assert (kept.closed, greedy.closed) == (None, 1013)
    world.leave(greedy)
    Worker(world, "a").work_off()
    assert kept.started == kept.sent


def test_what_a_dead_worker_had_not_started_waits_for_the_next_one_whatever_its_size(worlds: Any) -> None:
    world = worlds(wait_limit=100, send_limit=10**6)
    worker = Worker(world, "a")
    client, other = world.connect(), world.connect()
    world.say(client, 50, 200)
    world.leave(other)
    worker.die()
    assert client.closed is None
    assert world.router.waiting == 2
    Worker(world, "b").work_off()
    assert client.started == client.sent
    assert other.started == other.sent
    assert world.router.stats.events_resent == 53
    assert world.router.stats.events_dropped == 0


def test_what_was_begun_and_not_finished_by_a_dead_worker_is_counted_and_not_sent_again(worlds: Any) -> None:
    world = worlds()
    first = Worker(world, "a")
    client, other = world.connect(), world.connect()
    world.say(client, 2)
    first.take(10)
    first.start(1)
    first.start(2)
    first.die()
    assert world.router.stats.events_lost == 2
    assert received(Worker(world, "b")) == [(ON_MESSAGE, 1), (ON_MESSAGE, 1)]
    assert (client.started, other.started) == (client.sent, other.sent)


# A worker that has enough


def fill(world: World, *clients: Any) -> None:
    while not all(client.is_paused for client in clients):
        for client in clients:
            if not client.is_paused:
                world.say(client, 1, 100)


def test_a_full_worker_stops_the_reading_of_its_clients_only(worlds: Any) -> None:
    world = worlds()
    full = Worker(world, "a")
    mine = world.connect()
    other = Worker(world, "b")
    theirs = world.connect()
    fill(world, mine)
    for _ in range(50):
        world.say(theirs, 1, 100)
        other.work_off()
    assert not theirs.is_paused
    assert full.link.size < LIMIT + 200
    full.work_off()
    assert not mine.is_paused
    assert mine.started == mine.sent
    assert theirs.started == theirs.sent


def test_a_worker_that_takes_all_and_starts_nothing_is_full_as_well(worlds: Any) -> None:
    world = worlds()
    worker = Worker(world, "a")
    client = world.connect()
    while not client.is_paused:
        world.say(client)
        worker.take(10)
    assert len(worker.waiting) < 20
    worker.work_off()
    assert not client.is_paused


def test_a_new_client_passes_by_a_full_worker(worlds: Any) -> None:
    world = worlds()
    full = Worker(world, "a")
    first = world.connect()
    other = Worker(world, "b")
    fill(world, first)
    for _ in range(5):
        assert world.connect().peer is other.peer
        other.work_off()
    assert full.peer.clients == 1


def test_a_new_client_waits_where_all_workers_are_full_and_is_served_once_one_is_not(worlds: Any) -> None:
    world = worlds()
    worker = Worker(world, "a")
    first = world.connect()
    fill(world, first)
    queued = worker.link.size
    clients = [world.connect() for _ in range(20)]
    world.leave(clients[0])
    assert worker.link.size == queued
    assert world.router.waiting == 20
    assert all(client.is_paused for client in clients[1:])  # so that they don't fill what may wait
    worker.work_off()
    assert all(client.started == client.sent for client in clients)
    assert not any(client.is_paused for client in clients)


def test_clients_that_go_while_their_worker_is_full_are_let_go_of(worlds: Any) -> None:
    world = worlds()
    worker = Worker(world, "a")
    client = world.connect()
    fill(world, client)
    world.leave(client)
    assert worker.peer.held_up == set()


def test_an_event_that_makes_too_large_a_packet_closes_its_client_alone(worlds: Any) -> None:
    world = worlds(max_packet_size=1000, send_limit=10**6)
    worker = Worker(world, "a")
    client, other = world.connect(), world.connect()
    client.session = b"x" * 500
    world.say(client, 1, 472)
    world.say(client, 1, 473)
    world.say(other, 1, 972)
    assert (client.closed, other.closed) == (1009, None)
    world.leave(client)
    assert received(worker) == [
        (ON_CONNECT, 1),
        (ON_CONNECT, 2),
        (ON_MESSAGE, 1),
        (ON_MESSAGE, 2),
        (ON_CLOSE, 1),
    ]
    assert world.router.stats.events_too_big == 1


# Draining


def test_a_draining_workers_clients_wait_until_it_releases_them(worlds: Any) -> None:
    world = worlds()
    old = Worker(world, "a")
    clients = [world.connect() for _ in range(3)]
    new = Worker(world, "b")
    old.drain()
    for client in clients:
        world.say(client, 2)
    world.leave(clients[2])
    fresh = world.connect()
    assert received(new) == [(ON_CONNECT, fresh.id)]
    old.work_off()
    old.release(1)
    assert received(new) == [(ON_MESSAGE, 1), (ON_MESSAGE, 1)]
    world.say(clients[0])
    old.release(2)
    assert received(new) == [
        (ON_MESSAGE, 1),
        (ON_MESSAGE, 2),
        (ON_MESSAGE, 2),
        (ON_MESSAGE, 3),
        (ON_MESSAGE, 3),
        (ON_CLOSE, 3),
    ]
    assert old.peer.clients == 0
    old.die()
    assert world.router.stats.events_lost == 0


def test_what_waits_for_a_draining_worker_is_bounded_by_reading_no_more(worlds: Any) -> None:
    world = worlds(wait_limit=2000, wait_seconds=1)
    old = Worker(world, "a")
    client, other = world.connect(), world.connect()
    old.drain()
    fill(world, client, other)
    world.router._reactor.now += 10
    world.router.sweep()
    assert (client.closed, other.closed) == (None, None)
    assert world.router._held.size < 2500
    old.die()
    Worker(world, "b").work_off()
    assert (client.started, other.started) == (client.sent, other.sent)


def test_when_a_draining_worker_dies_all_that_waited_goes_to_another(worlds: Any) -> None:
    world = worlds()
    old = Worker(world, "a")
    client = world.connect()
    old.drain()
    world.say(client, 2)
    new = Worker(world, "b")
    old.die()
    assert received(new) == [(ON_CONNECT, 1), (ON_MESSAGE, 1), (ON_MESSAGE, 1)]
    assert client.started == client.sent


def test_releasing_strangers_changes_nothing(worlds: Any) -> None:
    world = worlds()
    old = Worker(world, "a")
    world.connect()
    other = Worker(world, "b")
    theirs = world.connect()
    old.drain()
    world.router.release_clients(old.peer, [2, 99, 2**32 - 1], world.open_clients())
    assert theirs.peer is other.peer

from __future__ import annotations

from tidegate.cluster.nats.pool import ServerPool
from tidegate.cluster.nats.url import NatsPlace, Server


def order(pool: ServerPool) -> list[str]:
    found = []
    while (server := pool.next()) is not None:
        found.append(server.host)
    return found


def test_a_server_of_this_machine_is_tried_first_and_the_others_in_any_order() -> None:
    hosts = ["203.0.113.1", "127.0.0.1", "nats.example", "203.0.113.2"]
    pool = ServerPool(NatsPlace(tuple(Server(host, 4222, host) for host in hosts)))
    orders = []
    for _ in range(50):
        pool.begin()
        orders.append(order(pool))
    assert {each[0] for each in orders} == {"127.0.0.1"}
    assert {each[1] for each in orders} == {"203.0.113.1", "203.0.113.2", "nats.example"}


def test_the_server_that_was_lost_just_now_is_tried_last() -> None:
    here, there = Server("127.0.0.1", 4222, "127.0.0.1"), Server("203.0.113.1", 4222, "203.0.113.1")
    pool = ServerPool(NatsPlace((here, there)))
    pool.begin(here)
    assert order(pool) == ["203.0.113.1", "127.0.0.1"]


def test_where_there_is_to_be_one_server_what_it_tells_of_others_is_passed_over() -> None:
    server = Server("127.0.0.1", 4222, "127.0.0.1")
    for goes_round, count in ((True, 2), (False, 1)):
        pool = ServerPool(NatsPlace((server,), goes_round=goes_round))
        pool.learn(["203.0.113.1:4222"], server)
        assert len(pool.servers) == count

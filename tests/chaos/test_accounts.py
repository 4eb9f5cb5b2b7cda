"""The accounts themselves: that they notice what is wrong."""

from __future__ import annotations

import dataclasses

from tests.chaos.accounts import NOWHERE, Account, Counted, settle
from tests.chaos.records import Connection, Numbers, Stream

ID = "7f0000010b5400000001"
NOTHING = Counted(began={0: 10.0}, lost={0: 0}, lost_before=0, dropped=0, sends_failed=0, kills=0)


def connection(sent: int, answered: list[int], end: str = "", name: str = "0.0") -> Connection:
    """One of a gateway process that is there."""
    made = Connection(name, 11.0, ID, 11.5, 0, end, sent, base={}, base_at=12.0)
    for number in answered:
        made.answered(number)
    return made


def account(*connections: Connection, pushes: dict[str, Stream] | None = None, **counted: object) -> Account:
    return settle(connections, pushes or {}, dataclasses.replace(NOTHING, **counted))  # type: ignore[arg-type]


def test_numbers_know_what_is_missing_twice_and_late() -> None:
    numbers = Numbers()
    for number in (3, 4, 7, 6, 7, 9, 6, 1, 1):
        numbers.came(number)
    assert numbers.late == {1, 6}
    assert numbers.twice == [7, 6, 1]
    assert numbers.missing(1, 10) == {2, 5, 8, 10}
    assert numbers.missing(4, 8) == {5, 8}
    assert numbers.count == 6
    assert Numbers().missing(2, 3) == {2, 3}


def test_all_that_was_answered_is_right() -> None:
    assert account(connection(3, [1, 2, 3])).problems == []


def test_what_is_missing_has_to_be_counted_by_its_gateway_and_nothing_else() -> None:
    assert account(connection(3, [1, 3])).problems
    assert account(connection(3, [1, 3]), lost={0: 1}).problems == []
    assert account(connection(3, [1, 2, 3]), lost={0: 1}).problems


def test_what_was_lost_of_a_client_that_was_refused_later_may_be_counted_with_it() -> None:
    refused = connection(6, [1, 2], "closed with 1013")
    assert account(refused, lost={0: 1}, dropped=3).problems == []
    assert account(refused, lost={0: 5}, dropped=3).problems
    assert account(connection(3, [1, 3]), refused, dropped=4).problems


def test_what_a_client_lost_before_it_learnt_whose_it_is_may_be_counted_by_any_gateway() -> None:
    stranger = connection(1, [], "cut off")
    stranger.client_id, stranger.index = "", NOWHERE
    assert account(connection(3, [1, 3]), stranger, lost={0: 2}).problems == []
    assert account(connection(3, [1, 3]), stranger, lost={0: 1}).problems == []
    assert account(connection(3, [1, 3]), stranger, lost={0: 3}).problems
    assert account(connection(3, [1, 3]), stranger, lost={0: 0}).problems


def test_an_answer_that_comes_twice_is_wrong() -> None:
    assert account(connection(3, [1, 2, 2, 3])).problems


def test_a_connection_may_end_only_with_its_gateway() -> None:
    assert account(connection(3, [1, 2, 3], "cut off")).problems
    assert account(connection(3, [1, 2], "cut off"), began={0: 20.0}).problems == []
    assert account(connection(3, [1, 2, 3], "closed with 1008"), began={0: 20.0}).problems


def test_a_push_is_missing_unless_its_sender_was_told() -> None:
    client = connection(0, [])
    client.heard("all", 1)
    client.heard("all", 3)
    assert account(client, pushes={"all": Stream(3, {2})}).problems == []
    assert account(client, pushes={"all": Stream(3)}).problems
    assert account(client, pushes={"all": Stream(3, {2}), "u1": Stream(5)}).problems == []
    assert account(client, pushes={"all": Stream(3, {2}), "u0": Stream(5)}).problems


def test_what_was_said_to_the_room_and_answered_has_to_come_to_all() -> None:
    sender, other = connection(2, [1, 2]), connection(0, [], name="1.0")
    sender.began = 13.0
    sender.published[1] = 2
    sender.heard("0.0", 1)
    assert account(sender, other).problems
    other.heard("0.0", 1)
    assert account(sender, other).problems == []


def test_what_a_killed_worker_sent_elsewhere_may_be_late_and_nothing_else_may() -> None:
    sender = connection(3, [1, 2, 3])
    sender.began = 13.0
    sender.published.update({1: 1, 2: 2})
    for number in (2, 1):
        sender.heard("0.0", number)
    assert account(sender).problems
    assert account(sender, kills=1).problems == []
    sender.heard("0.0", 1)
    assert account(sender, kills=1).problems

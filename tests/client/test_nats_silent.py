"""Gateways that a blocking client takes for gone, by a clock of the test's."""

from __future__ import annotations

import pytest

from tidegate.client.nats.silent import OVERDUE_SECONDS, Silent
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ClusterTimeoutError

ANSWER = Message("inbox", "", None, b"", 1)
BOTH = ["a", "b"]


@pytest.mark.parametrize(
    "error", [ClusterTimeoutError("no answer"), NobodyListensError("nobody"), ClusterError("the connection broke")]
)
def test_who_neither_answers_nor_writes_its_entry_anew_is_overdue_after_a_while(error: ClusterError) -> None:
    silent = Silent()
    silent.note(BOTH, [error, ANSWER], 0)
    silent.renewed({"a": 1, "b": 2}, 2)
    assert silent.are_overdue(BOTH, OVERDUE_SECONDS) == []
    silent.note(["a"], [error], 3)
    silent.renewed({"a": 3, "b": 2}, 3)  # as a server lists it that has more of what was before
    assert silent.are_overdue(BOTH, OVERDUE_SECONDS + 0.1) == ["a"]
    silent.renewed({"b": 9}, 9)  # nobody lists it, and still it does not answer
    assert silent.are_overdue(BOTH, 60) == ["a"]
    silent.forget(["a"])
    assert silent.are_overdue(BOTH, 60) == []


def test_who_writes_its_entry_anew_or_answers_again_is_there_however_slow() -> None:
    silent = Silent()
    silent.note(BOTH, [ClusterTimeoutError("no answer")] * 2, 0)
    silent.note(["b"], [ANSWER], 3)
    silent.renewed({"a": 2, "b": 1}, 2)
    silent.renewed({"a": 1, "b": 1}, 1)  # as a server lists it that was away
    assert silent.are_overdue(BOTH, 60) == ["a"]
    silent.renewed({"a": 6, "b": 5}, 6)
    assert silent.are_overdue(BOTH, 60) == []


def test_nobody_is_silent_since_before_anybody_could_be_heard() -> None:
    silent = Silent()
    silent.note(BOTH, [ClusterError("the connection broke")] * 2, 0)
    silent.renewed({"a": 5, "b": 5}, 5)
    silent.note(["b"], [ANSWER], 1)
    silent.note(["b"], [ClusterTimeoutError("no answer")], 12)
    silent.deaf(10)
    assert silent.are_overdue(BOTH, 10 + OVERDUE_SECONDS) == []
    assert silent.are_overdue(BOTH, 10.1 + OVERDUE_SECONDS) == ["a"]
    silent.renewed({"a": 1, "b": 1}, 1)  # the servers have lost what was
    silent.renewed({"a": 4, "b": 1}, 4)
    assert silent.are_overdue(BOTH, 60) == ["b"]

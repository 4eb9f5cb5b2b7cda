"""Gateways on NATS that a blocking client takes for gone, by a clock of the test's."""

from __future__ import annotations

import pytest

from tidegate.client.nats.silent import Silent
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.roster import DEFAULT_SILENCE
from tidegate.errors import ClusterError, ClusterTimeoutError

ANSWER = Message("inbox", "", None, b"", 1)


@pytest.mark.parametrize("error", [ClusterTimeoutError("no answer"), NobodyListensError("nobody")])
def test_who_neither_answers_nor_writes_its_entry_anew_is_gone_after_a_while(error: ClusterError) -> None:
    silent = Silent()
    assert list(silent.without({"a": 1, "b": 2}, 0)) == ["a", "b"]
    silent.note(["a", "b"], [error, ANSWER], 0)
    assert list(silent.without({"a": 1, "b": 2}, DEFAULT_SILENCE)) == ["a", "b"]
    silent.note(["a"], [error], 3)
    assert list(silent.without({"a": 1, "b": 2}, DEFAULT_SILENCE + 0.1)) == ["b"]
    assert list(silent.without({"a": 3, "b": 2}, 60)) == ["a", "b"]  # it is back


def test_who_writes_its_entry_anew_or_answers_again_is_there_however_slow() -> None:
    silent = Silent()
    silent.without({"a": 1, "b": 1}, 0)
    silent.note(["a", "b"], [ClusterTimeoutError("no answer")] * 2, 0)
    silent.note(["b"], [ANSWER], 3)
    assert list(silent.without({"a": 2, "b": 1}, 60)) == ["a", "b"]

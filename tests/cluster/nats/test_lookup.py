"""Who is there according to the bucket, with answers that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from tests.cluster.nats.test_entries import entry, message
from tidegate.cluster.nats.announced import encode_gateway, gateway_key, own_words
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.jetstream import JetStreamError
from tidegate.cluster.nats.lookup import Ask, Found, look_up
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.subjects import Subjects
from tidegate.errors import ClusterError, ClusterTimeoutError, ConfigurationError
from tidegate.wire.commands import ROLL_CALL
from tidegate.wire.packet import pack

SUBJECTS = Subjects("b")
LATE = ClusterTimeoutError("no answer")
FIRST, SECOND = "10.0.0.1:2900", "10.0.0.2:2900"


def value(address: str) -> bytes:
    return b"0123456789abcdef" + encode_gateway(address, "", "1")


def listed(*addresses: str, last: int, gone: Sequence[str] = ()) -> list[Message]:
    """What a server lists."""
    entries = [entry(gateway_key(each), value(each), last) for each in addresses]
    markers = [entry(gateway_key(each), b"", last, KV_Operation="DEL") for each in gone]
    return [*entries, *markers, message(b"", 204, Nats_Num_Pending="0")]


class Servers:
    """Answers what is asked.

    Args:
        leader: the revision that it names; None where there is none.
        lists: one after the other; the last again and again.
        here: the gateways that answer a roll call.
    """

    def __init__(self, leader: int | None, *lists: list[Message], here: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.waited = 0.0
        self.leader: Callable[[Ask], ClusterError | None] = lambda ask: self._seq(ask, leader)
        self._lists = list(lists)
        self._here = here

    def _seq(self, ask: Ask, leader: int | None) -> ClusterError | None:
        if leader is None:
            return LATE
        assert ask.take(Message("", "", None, json.dumps({"message": {"seq": leader}}).encode(), 1))
        return None

    def _answer(self, ask: Ask) -> ClusterError | None:
        if "MSG.GET" in ask.subject:
            self.asked.append("leader")
            assert json.loads(ask.payload) == {"last_by_subj": "$KV.b.gateway.>"}
            return self.leader(ask)
        if "DIRECT.GET" in ask.subject:
            self.asked.append("list")
            answers = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
            assert [ask.take(each) for each in answers][-1]
            return None
        self.asked.append("roll call")
        assert (ask.subject, ask.payload) == ("b.all", pack(ROLL_CALL))
        for each in (*map(value, self._here), b"", b"what is no gateway's"):
            assert not ask.take(Message("", "", None, each, 1))
        return LATE

    def look(self, floor: int | None = None) -> Found:
        steps = look_up(SUBJECTS, "b", "gateway.>", floor)
        error: ClusterError | None = None
        try:
            while True:
                step = steps.send(error)
                if isinstance(step, Ask):
                    error = self._answer(step)
                else:
                    self.waited, error = self.waited + step, None
        except StopIteration as stop:
            found: Found = stop.value
            return found


def test_a_list_as_far_as_its_leader_is_taken() -> None:
    servers = Servers(7, listed(FIRST, last=7, gone=[SECOND]))
    found = servers.look()
    assert {key: own_words(raw) for key, raw in found.entries.items()} == {
        gateway_key(FIRST): encode_gateway(FIRST, "", "1")
    }
    assert (found.revisions, found.gone, found.last) == (
        {gateway_key(FIRST): 7},
        frozenset({gateway_key(SECOND)}),
        7,
    )
    assert servers.asked == ["leader", "list"]


def test_a_list_that_is_behind_is_asked_for_again() -> None:
    servers = Servers(9, listed(FIRST, last=7), listed(FIRST, SECOND, last=9))
    assert set(servers.look().entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert servers.asked == ["leader", "list", "list"]
    assert 0 < servers.waited < 1


@pytest.mark.parametrize("leader", [None, 9])
def test_where_no_list_is_sure_those_are_there_too_that_answer(leader: int | None) -> None:
    servers = Servers(leader, listed(FIRST, last=7, gone=[SECOND]), here=[SECOND])
    found = servers.look()
    assert set(found.entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert found.gone == frozenset()
    assert servers.asked[-1] == "roll call"
    assert servers.asked.count("list") == (1 if leader is None else 4)


def test_who_has_looked_before_does_not_ask_the_leader() -> None:
    servers = Servers(None, listed(FIRST, last=7), listed(FIRST, last=8))
    assert servers.look(floor=8).last == 8
    assert servers.asked == ["list", "list"]
    assert servers.look(floor=20).last == 8  # the servers have lost what was
    assert set(servers.asked) == {"list"}


def test_an_empty_bucket_is_as_far_as_it_is() -> None:
    servers = Servers(None, [message(b"", 404)])

    def nothing(ask: Ask) -> None:
        ask.take(Message("", "", None, b'{"error":{"code":404,"err_code":10037}}', 1))

    servers.leader = nothing
    assert servers.look().entries == {}
    assert servers.asked == ["leader", "list"]


def test_a_bucket_that_is_not_there_is_told_of() -> None:
    servers = Servers(None, [message(b"", 404)])

    def says(payload: bytes) -> Callable[[Ask], ClusterError | None]:
        def answer(ask: Ask) -> None:
            ask.take(Message("", "", None, payload, 1))

        return answer

    servers.leader = says(b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}')
    with pytest.raises(JetStreamError, match="stream not found"):
        servers.look()
    servers.leader = says(b'{"error":{"code":503,"err_code":10039}}')
    with pytest.raises(ConfigurationError, match="JetStream is not enabled"):
        servers.look()
    servers.leader = says(b'{"message":{}}')
    with pytest.raises(ClusterError, match="no stored message"):
        servers.look()
    servers.leader = says(b'{"error":{"code":503,"err_code":10008}}')  # there is no leader yet
    assert servers.look().entries == {}


def test_what_is_wrong_with_a_list_is_told() -> None:
    steps = look_up(SUBJECTS, "b", "gateway.>", 1)
    assert isinstance(next(steps), Ask)
    with pytest.raises(NobodyListensError):
        steps.send(NobodyListensError("nobody"))
    with pytest.raises(ClusterError, match="refuses to list"):
        Servers(1, [message(b"", 408)]).look()

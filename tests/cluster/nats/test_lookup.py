"""Who is there according to the bucket, with answers that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.cluster.nats.test_entries import entry, message
from tidegate.cluster.nats.announced import address_of_key, encode_gateway, gateway_key, own_words
from tidegate.cluster.nats.inbox import Enough, NobodyListensError
from tidegate.cluster.nats.jetstream import JetStreamError
from tidegate.cluster.nats.lookup import Ask, Found, look_up
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.subjects import Subjects
from tidegate.errors import ClusterError, ClusterTimeoutError, ConfigurationError
from tidegate.wire.commands import ROLL_CALL
from tidegate.wire.packet import pack

SUBJECTS = Subjects("b")
LATE = ClusterTimeoutError("no answer")
FIRST, SECOND, THIRD = (f"10.0.0.{number}:2900" for number in (1, 2, 3))


def value(address: str) -> bytes:
    return b"0123456789abcdef" + encode_gateway(address, "", "1")


def plain(payload: bytes) -> Message:
    return Message("", "", None, payload, 1)


def listed(*addresses: str, last: int, gone: Sequence[str] = ()) -> list[Message]:
    """What a server lists."""
    entries = [entry(gateway_key(each), value(each), last) for each in addresses]
    markers = [entry(gateway_key(each), b"", last, KV_Operation="DEL") for each in gone]
    return [*entries, *markers, message(b"", 204, Nats_Num_Pending="0")]


class Servers:
    """Answers what is asked.

    Args:
        leader: the revision that it names; None where there is none.
        lists: one after the other; the last again and again. None for one that does not come, or why there is none.
        here: the gateways that answer.
    """

    def __init__(
        self, leader: int | None, *lists: list[Message] | ClusterError | None, here: Sequence[str] = ()
    ) -> None:
        self.asked: list[str] = []
        self.waited = 0.0
        self.leader = None if leader is None else json.dumps({"message": {"seq": leader}}).encode()
        self._lists = list(lists)
        self._here = here

    def _answer(self, subject: str, payload: bytes, take: Enough) -> ClusterError | None:
        if subject == "$JS.API.STREAM.MSG.GET.KV_b":
            self.asked.append("leader")
            assert json.loads(payload) == {"last_by_subj": "$KV.b.gateway.>"}
            if self.leader is None:
                return LATE
            assert take(plain(self.leader))
            return None
        if subject == "$JS.API.DIRECT.GET.KV_b":
            self.asked.append("list")
            answers = self._lists.pop(0) if len(self._lists) > 1 else self._lists[0]
            if answers is None or isinstance(answers, ClusterError):
                return answers or LATE
            assert [take(each) for each in answers][-1]
            return None
        assert payload == pack(ROLL_CALL)
        if subject == SUBJECTS.all:
            self.asked.append("all")
            for each in (*map(value, self._here), b"", b"what is no gateway's"):
                assert not take(plain(each))
            return LATE
        self.asked.append(subject)
        for address in self._here:
            if subject == SUBJECTS.gateway(address):
                assert take(plain(value(address)))
                return None
        return NobodyListensError("nobody")

    def look(self, floor: int | None = None) -> Found:
        steps = look_up(SUBJECTS, "b", "gateway.>", floor)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Ask):
                    step = steps.send([self._answer(*question) for question in step.questions])
                else:
                    self.waited += step
                    step = steps.send(())
        except StopIteration as stop:
            found: Found = stop.value
            return found


def test_a_list_as_far_as_its_leader_is_taken() -> None:
    servers = Servers(7, listed(FIRST, last=7))
    found = servers.look()
    assert {key: own_words(raw) for key, raw in found.entries.items()} == {
        gateway_key(FIRST): encode_gateway(FIRST, "", "1")
    }
    assert (found.revisions, found.gone, found.last) == ({gateway_key(FIRST): 7}, frozenset(), 7)
    assert servers.asked == ["leader", "list"]


def test_a_list_that_is_behind_or_does_not_come_is_asked_for_again() -> None:
    servers = Servers(9, None, listed(FIRST, last=7), listed(FIRST, SECOND, last=9))
    assert set(servers.look().entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert servers.asked == ["leader", "list", "list", "list"]
    assert 0 < servers.waited < 1


@pytest.mark.parametrize("leader", [None, 9])
def test_where_no_list_is_sure_those_are_there_too_that_answer(leader: int | None) -> None:
    servers = Servers(leader, listed(FIRST, last=7, gone=[SECOND]), here=[SECOND])
    found = servers.look()
    assert set(found.entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert found.gone == frozenset()
    assert servers.asked[-1] == "all"
    assert servers.asked.count("list") == (1 if leader is None else 4)


@pytest.mark.parametrize("problem", [None, NobodyListensError("nobody")])
def test_where_there_is_no_list_those_are_there_that_answer(problem: ClusterError | None) -> None:
    servers = Servers(None, problem, here=[FIRST, SECOND])
    found = servers.look()
    assert set(found.entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert (found.revisions, found.gone, found.last) == ({}, frozenset(), 0)
    assert servers.asked[-1] == "all"
    servers = Servers(None, here=[FIRST])
    servers.leader = b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}'
    assert set(servers.look().entries) == {gateway_key(FIRST)}


def test_whose_entry_is_over_is_asked_itself() -> None:
    servers = Servers(7, listed(FIRST, last=7, gone=[SECOND, THIRD]), here=[SECOND])
    found = servers.look()
    assert set(found.entries) == {gateway_key(FIRST), gateway_key(SECOND)}
    assert found.gone == {gateway_key(THIRD)}
    assert sorted(servers.asked[2:]) == [SUBJECTS.gateway(SECOND), SUBJECTS.gateway(THIRD)]


def test_who_has_looked_before_asks_neither_the_leader_nor_gateways() -> None:
    servers = Servers(None, listed(FIRST, last=7), listed(FIRST, last=8, gone=[SECOND]), here=[SECOND])
    found = servers.look(floor=8)
    assert (found.last, found.gone) == (8, frozenset({gateway_key(SECOND)}))
    assert servers.asked == ["list", "list"]
    assert servers.look(floor=20).last == 8  # the servers have lost what was
    assert set(servers.asked) == {"list"}


def test_an_empty_bucket_is_as_far_as_it_is() -> None:
    servers = Servers(None, [message(b"", 404)])
    servers.leader = b'{"error":{"code":404,"err_code":10037}}'
    assert servers.look().entries == {}
    assert servers.asked == ["leader", "list"]


def test_a_bucket_that_is_not_there_is_told_of() -> None:
    servers = Servers(None, [message(b"", 404)])
    servers.leader = b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}'
    with pytest.raises(JetStreamError, match="stream not found"):
        servers.look()
    servers.leader = b'{"error":{"code":503,"err_code":10039}}'
    with pytest.raises(ConfigurationError, match="JetStream is not enabled"):
        servers.look()
    servers.leader = b'{"message":{}}'
    with pytest.raises(ClusterError, match="no stored message"):
        servers.look()
    servers.leader = b'{"error":{"code":503,"err_code":10008}}'  # there is no leader yet
    assert servers.look().entries == {}


def test_what_is_wrong_with_a_list_is_told() -> None:
    steps = look_up(SUBJECTS, "b", "gateway.>", 1)
    next(steps)
    with pytest.raises(NobodyListensError):
        steps.send([NobodyListensError("nobody")])
    with pytest.raises(ClusterError, match="refuses to list"):
        Servers(1, [message(b"", 408)]).look()
    with pytest.raises(ClusterTimeoutError):
        Servers(1, None).look()


def test_only_a_gateways_key_has_an_address() -> None:
    assert address_of_key(gateway_key(FIRST)) == FIRST
    assert [address_of_key(key) for key in ("worker.w", "gateway.", "gateway.x", "gateway.1-2-3-4")] == [None] * 4

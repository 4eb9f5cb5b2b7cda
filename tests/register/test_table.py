"""Who announced what, and who is told: Register's table, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidegate.errors import ProtocolError
from tidegate.register.table import Table
from tidegate.wire.register_line import PING, gateway_connect, worker_connect

ONE, TWO = "10.0.0.1:2900", "10.0.0.2:2900"


def php_gateway(address: Any, secret_key: Any = "") -> bytes:
    return json.dumps({"event": "gateway_connect", "address": address, "secret_key": secret_key}).encode()


def listed(line: bytes | None) -> dict[str, Any]:
    assert line is not None
    message: dict[str, Any] = json.loads(line)
    assert message.pop("event") == "broadcast_addresses"
    return message


def test_who_asks_is_answered_at_once_also_with_an_empty_list() -> None:
    table = Table[str]("")
    assert table.receive("w", worker_connect()) == b'{"event":"broadcast_addresses","addresses":[]}\n'
    assert table.receive("w", worker_connect()) == b'{"event":"broadcast_addresses","addresses":[]}\n'
    assert table.take_news()[0] == []
    assert (table.gateways, table.workers) == (0, 1)


def test_who_has_asked_is_told_whenever_a_gateway_comes_or_goes_and_nobody_else() -> None:
    table = Table[str]("")
    table.receive("w", worker_connect())
    assert table.receive("g", php_gateway(ONE)) is None
    peers, line = table.take_news()
    assert (peers, listed(line)) == (["w"], {"addresses": [ONE]})
    assert table.take_news()[0] == []
    assert listed(table.receive("late", worker_connect())) == {"addresses": [ONE]}
    assert table.take_news()[0] == []
    table.leave("g")
    peers, line = table.take_news()
    assert (peers, listed(line)) == (["w", "late"], {"addresses": []})
    table.leave("w")
    table.leave("stranger")
    table.receive("g", php_gateway(ONE))
    assert table.take_news()[0] == ["late"]


def test_what_comes_and_goes_before_anybody_was_told_is_no_news() -> None:
    table = Table[str]("")
    table.receive("w", worker_connect())
    table.receive("g", php_gateway(ONE))
    table.leave("g")
    assert table.take_news()[0] == []


def test_an_address_announced_twice_is_listed_once_until_both_are_gone() -> None:
    table = Table[str]("")
    table.receive("w", worker_connect())
    table.receive("old", php_gateway(ONE))
    table.receive("new", php_gateway(ONE))
    assert listed(table.take_news()[1]) == {"addresses": [ONE]}
    table.leave("old")
    assert table.take_news()[0] == []
    table.leave("new")
    assert listed(table.take_news()[1]) == {"addresses": []}


def test_ours_are_named_beside_the_list_as_the_newest_connection_says() -> None:
    table = Table[str]("")
    table.receive("php", php_gateway(ONE))
    table.receive("ours", gateway_connect(TWO))
    assert listed(table.receive("w", worker_connect())) == {"addresses": [ONE, TWO], "tidegate": [TWO]}
    table.receive("moved over", gateway_connect(ONE))
    assert listed(table.take_news()[1]) == {"addresses": [ONE, TWO], "tidegate": [ONE, TWO]}
    table.leave("moved over")
    assert listed(table.take_news()[1]) == {"addresses": [ONE, TWO], "tidegate": [TWO]}


def test_a_gateway_may_announce_another_address_instead() -> None:
    table = Table[str]("")
    table.receive("g", gateway_connect(ONE))
    table.receive("g", gateway_connect(TWO))
    assert listed(table.take_news()[1])["addresses"] == [TWO]
    assert table.gateways == 1


def test_nobody_is_told_anything_until_it_has_settled() -> None:
    table = Table[str]("", is_settling=True)
    assert table.receive("early", worker_connect()) is None
    table.receive("g", php_gateway(ONE))
    assert table.receive("w", worker_connect()) is None
    assert table.take_news()[0] == []
    table.settle()
    peers, line = table.take_news()
    assert (peers, listed(line)) == (["early", "w"], {"addresses": [ONE]})
    assert listed(table.receive("late", worker_connect())) == {"addresses": [ONE]}


def test_pings_are_answered_with_nothing() -> None:
    table = Table[str]("")
    for line in (PING, PING.decode().rstrip(), '{"event":"ping","more":1}'):
        assert table.receive("p", line) is None
    assert not table.knows("p")
    table.receive("p", worker_connect())
    assert table.knows("p")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "no JSON"),
        (b"{}", "without an event"),
        (b'{"event":"hello"}', "unknown event 'hello'"),
        (b'{"event":"broadcast_addresses","addresses":[]}', "unknown event"),
        (worker_connect("wrong"), "a wrong secret_key"),
        (worker_connect(""), "a wrong secret_key"),
        (b'{"event":"worker_connect"}', "a wrong secret_key"),
        (b'{"event":"worker_connect","secret_key":["s3cret"]}', "a wrong secret_key"),
        (b'{"event":"worker_connect","secret_key":"\\ud800"}', "a wrong secret_key"),
        (gateway_connect(ONE, "s3cret "), "a wrong secret_key"),
        (php_gateway("localhost:2900", "s3cret"), "no dotted quad"),
        (php_gateway("10.0.0.1", "s3cret"), "no dotted quad"),
        (php_gateway("10.0.0.1:0", "s3cret"), "no dotted quad"),
        (php_gateway(["10.0.0.1:1"], "s3cret"), "no dotted quad"),
        (php_gateway(None, "s3cret"), "no dotted quad"),
    ],
)
def test_a_line_that_may_not_be_changes_nothing(line: bytes, reason: str) -> None:
    table = Table[str]("s3cret")
    table.receive("w", worker_connect("s3cret"))
    table.receive("g", gateway_connect(ONE, "s3cret"))
    table.take_news()
    with pytest.raises(ProtocolError) as caught:
        table.receive("x", line)
    assert reason in caught.value.reason
    assert "s3cret" not in caught.value.reason
    assert not table.knows("x")
    assert table.take_news()[0] == []


def test_the_reason_of_a_refusal_can_always_be_written() -> None:
    with pytest.raises(ProtocolError) as caught:
        Table[str]("").receive("x", json.dumps({"event": "\ud800\n" * 1000}))
    reason = caught.value.reason
    reason.encode()
    assert len(reason) < 400
    assert "\n" not in reason


def test_a_connection_is_a_gateways_or_a_workers_and_not_both() -> None:
    table = Table[str]("")
    table.receive("g", gateway_connect(ONE))
    table.receive("w", worker_connect())
    with pytest.raises(ProtocolError, match="a gateway's and a worker's"):
        table.receive("g", worker_connect())
    with pytest.raises(ProtocolError, match="a gateway's and a worker's"):
        table.receive("w", gateway_connect(TWO))


PEERS = st.integers(0, 5)
ADDRESSES = st.sampled_from([ONE, TWO, "10.0.0.3:1"])


class Meeting(RuleBasedStateMachine):
    """What each worker was told last is, once the news are out, what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table[str]("")
        self.gateways: dict[str, str] = {}
        self.told: dict[str, bytes | None] = {}

    @rule(peer=PEERS, address=ADDRESSES, ours=st.booleans())
    def announce(self, peer: int, address: str, ours: bool) -> None:
        name = f"g{peer}"
        self.table.receive(name, gateway_connect(address) if ours else php_gateway(address))
        self.gateways[name] = address

    @rule(peer=PEERS)
    def ask(self, peer: int) -> None:
        self.told[f"w{peer}"] = self.table.receive(f"w{peer}", worker_connect())

    @rule(peer=PEERS, kind=st.sampled_from("gw"))
    def leave(self, peer: int, kind: str) -> None:
        self.table.leave(f"{kind}{peer}")
        self.gateways.pop(f"{kind}{peer}", None)
        self.told.pop(f"{kind}{peer}", None)

    @rule()
    def tell(self) -> None:
        peers, line = self.table.take_news()
        assert len(set(peers)) == len(peers)
        for peer in peers:
            assert self.told[peer] != line
            self.told[peer] = line
        for sent in self.told.values():
            assert sent == line
        assert sorted(listed(line)["addresses"]) == sorted(set(self.gateways.values()))

    @invariant()
    def counts(self) -> None:
        assert self.table.gateways == len(set(self.gateways.values()))
        assert self.table.workers == len(self.told)


TestMeeting = Meeting.TestCase
TestMeeting.settings = settings(max_examples=50, stateful_step_count=30)

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.cluster.nats.headers import Headers, encode_headers
from tidegate.cluster.nats.parts import MAX_MESSAGES, MAX_SECONDS, PART, ROOM, Joiner, Splitter
from tidegate.cluster.nats.protocol import Message

LIMIT = ROOM + 10


def parts(payload: bytes, sender: str = "s", splitter: Splitter | None = None, sid: int = 1) -> list[Message]:
    """As they arrive."""
    made = (splitter or Splitter(sender)).split(payload, LIMIT)
    return [Message("a", "r", Headers(0, "", headers), part, sid) for headers, part in made]


def join(joiner: Joiner, messages: list[Message], now: float = 0) -> list[bytes]:
    joined = [joiner.take(message, now) for message in messages]
    return [message.payload for message in joined if message is not None]


@settings(max_examples=40)
@given(st.binary(min_size=LIMIT, max_size=1000))
def test_what_was_split_is_joined_with_its_last_part(payload: bytes) -> None:
    joiner = Joiner()
    *before, last = parts(payload)
    assert join(joiner, before) == []
    message = joiner.take(last, 0)
    assert message == Message("a", "r", None, payload, 1)
    assert (len(joiner), joiner.size, joiner.dropped) == (0, 0, 0)


def test_a_part_and_its_header_are_within_the_limit() -> None:
    for headers, part in Splitter("x" * 16).split(bytes(1000), LIMIT):
        assert len(encode_headers(headers)) + len(part) <= LIMIT


def test_those_of_several_senders_and_subscriptions_do_not_mix() -> None:
    joiner = Joiner()
    streams = [parts(b"a" * 30, "one"), parts(b"b" * 30, "two"), parts(b"c" * 30, "one", sid=2)]
    mixed = [part for step in zip(*streams, strict=True) for part in step]
    assert join(joiner, mixed) == [b"a" * 30, b"b" * 30, b"c" * 30]


def test_what_lacks_a_part_is_dropped_and_counted_once() -> None:
    for missing in range(4):
        joiner, splitter = Joiner(), Splitter("s")
        broken = parts(b"a" * 40, splitter=splitter)
        del broken[missing]
        assert join(joiner, broken + parts(b"b" * 40, splitter=splitter)) == [b"b" * 40]
        assert joiner.dropped == 1
        assert joiner.size == 0


def test_what_is_not_heard_of_for_long_is_dropped() -> None:
    joiner = Joiner()
    join(joiner, parts(b"a" * 40)[:2], now=100)
    joiner.sweep(100 + MAX_SECONDS)
    assert len(joiner) == 1
    joiner.sweep(101 + MAX_SECONDS)
    assert (len(joiner), joiner.size, joiner.dropped) == (0, 0, 1)


def test_what_is_incomplete_is_bounded_in_number_and_size() -> None:
    joiner = Joiner()
    for number in range(MAX_MESSAGES + 5):
        join(joiner, parts(b"a" * 40, f"s{number}")[:1])
    assert (len(joiner), joiner.dropped) == (MAX_MESSAGES, 5)
    joiner = Joiner(max_size=25)
    for number in range(3):
        join(joiner, parts(b"a" * 40, f"s{number}")[:1])
    assert (len(joiner), joiner.size, joiner.dropped) == (2, 20, 1)


@pytest.mark.parametrize("text", ["", "s 1 0", "s 1 2 2", "s a 0 2", "s 1 -1 2", "s 1 0 99999999", f"{'s' * 65} 1 0 2"])
def test_a_header_that_is_none_is_counted(text: str) -> None:
    joiner = Joiner()
    assert joiner.take(Message("a", "", Headers(0, "", {PART: text}), b"x", 1), 0) is None
    assert joiner.dropped == 1


def test_what_can_not_be_split_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="payload of 1000 bytes"):
        Splitter("s").split(bytes(1000), ROOM)

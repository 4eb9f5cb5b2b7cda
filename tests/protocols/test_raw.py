"""Bytes as they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import cuts, drive, examples, feed, reads
from tidegate.protocols import Message, Raw


def as_bytes(messages: list[Message]) -> bytes:
    return b"".join(message.encode() if isinstance(message, str) else message for message in messages)


def test_a_read_is_a_message() -> None:
    codec = Raw()
    assert feed(codec, b"one\ntwo") == [b"one\ntwo"]
    assert feed(codec, b"\xff") == [b"\xff"]


def test_with_an_encoding_a_read_is_text() -> None:
    assert feed(Raw("utf-8"), "κόσμε".encode()) == ["κόσμε"]


def test_a_character_over_two_reads_is_given_whole_with_the_second() -> None:
    codec = Raw("utf-8")
    assert feed(codec, b"caf\xc3") == ["caf"]
    assert feed(codec, b"\xa9!") == ["é!"]
    assert feed(codec, b"\xf0\x9f") == []
    assert feed(codec, b"\x8c") == []
    assert feed(codec, b"\x8a") == ["🌊"]


def test_a_read_that_is_no_text_is_given_as_bytes_with_what_was_held() -> None:
    codec = Raw("utf-8")
    assert feed(codec, b"caf\xc3") == ["caf"]
    assert feed(codec, b"(") == [b"\xc3("]
    assert feed(codec, b"fine") == ["fine"]


def test_another_encoding_holds_in_both_directions() -> None:
    codec = Raw("gbk")
    assert codec.encode("你好") == b"\xc4\xe3\xba\xc3"
    assert drive(codec, b"\xc4\xe3\xba\xc3", size=1) == ["你", "好"]


def test_what_is_sent_has_nothing_around_it() -> None:
    assert Raw().encode(b"\0\xff") == b"\0\xff"
    assert Raw().encode("é") == b"\xc3\xa9"
    assert Raw().close_frame(1000, "bye") == b""


@examples
@given(st.binary(max_size=400), cuts)
def test_reads_are_given_one_by_one(data: bytes, positions: list[int]) -> None:
    assert drive(Raw(), data, cuts=positions) == list(reads(data, cuts=positions))


@examples
@given(st.text(max_size=100), cuts)
def test_text_in_any_reads_is_given_as_text(text: str, positions: list[int]) -> None:
    messages = drive(Raw("utf-8"), text.encode(), cuts=positions)
    assert all(isinstance(message, str) for message in messages)
    assert as_bytes(messages) == text.encode()


@examples
@given(st.binary(max_size=100), cuts)
def test_no_byte_is_lost_and_at_most_three_are_held(data: bytes, positions: list[int]) -> None:
    codec = Raw("utf-8")
    given_back = as_bytes(drive(codec, data, cuts=positions))
    assert data.startswith(given_back)
    assert len(data) - len(given_back) <= 3
    assert codec.ending is None

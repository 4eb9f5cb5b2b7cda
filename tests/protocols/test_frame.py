"""Frames of a length and a body."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import cuts, drive, examples, feed, held
from tidegate.protocols import Frame, Message


def framed(*bodies: bytes) -> bytes:
    return b"".join((len(body) + 4).to_bytes(4, "big") + body for body in bodies)


def assert_ended(codec: Frame, code: int) -> None:
    assert codec.ending is not None
    assert codec.ending.code == code
    assert codec.ending.reply == b""
    assert codec.ending.error is not None
    assert held(codec) == 0
    assert feed(codec, framed(b"more")) == []


def test_a_length_counts_its_own_four_bytes() -> None:
    assert Frame().encode(b"hello") == b"\0\0\0\x09hello"
    assert feed(Frame(), b"\0\0\0\x09hello") == [b"hello"]


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param([], id="none"),
        pytest.param([b""], id="an empty one"),
        pytest.param([b"", b"", b""], id="empty ones"),
        pytest.param([b"one", b"", b"three", b"x" * 300], id="several"),
        pytest.param([b"\0\0\0\x04", b"\n"], id="what looks like a length"),
    ],
)
def test_bodies_are_messages(bodies: list[bytes], size: int | None) -> None:
    codec = Frame()
    assert drive(codec, framed(*bodies), size) == bodies
    assert held(codec) == 0


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65535, 65536, 1 << 20])
def test_a_body_of_any_length_is_delivered(length: int) -> None:
    body = b"x" * length
    assert feed(Frame(), framed(body)) == [body]
    assert drive(Frame(), framed(body, body), size=5001) == [body, body]


def test_a_frame_without_its_end_is_finished_by_a_later_read() -> None:
    codec = Frame()
    assert feed(codec, framed(b"one") + b"\0\0") == [b"one"]
    assert feed(codec, b"\0\x08t") == []
    assert feed(codec, b"wo!" + framed(b"three")) == [b"two!", b"three"]


@pytest.mark.parametrize("total", [0, 1, 3])
def test_a_length_less_than_its_own_bytes_ends_the_connection_with_1002(total: int, size: int | None) -> None:
    codec = Frame()
    assert drive(codec, framed(b"before") + total.to_bytes(4, "big") + framed(b"after"), size) == [b"before"]
    assert_ended(codec, 1002)


def test_a_body_of_the_largest_size_is_delivered(size: int | None) -> None:
    assert drive(Frame(max_message_size=10), framed(b"x" * 10), size) == [b"x" * 10]


@pytest.mark.parametrize("total", [15, 65536, 0xFFFFFFFF])
def test_a_declared_length_over_the_limit_ends_the_connection_with_1009_before_any_body(
    total: int, size: int | None
) -> None:
    codec = Frame(max_message_size=10)
    assert drive(codec, framed(b"before") + total.to_bytes(4, "big"), size) == [b"before"]
    assert_ended(codec, 1009)


def test_bodies_are_text_with_an_encoding(size: int | None) -> None:
    codec = Frame(encoding="utf-8")
    assert drive(codec, framed("é".encode(), b"\xff", b""), size) == ["é", b"\xff", ""]


@pytest.mark.parametrize(("encoding", "sent"), [(None, b"\0\0\0\x06\xc3\xa9"), ("latin-1", b"\0\0\0\x05\xe9")])
def test_text_is_sent_in_the_encoding(encoding: str | None, sent: bytes) -> None:
    assert Frame(encoding=encoding).encode("é") == sent


@examples
@given(st.lists(st.binary(max_size=100), max_size=8), cuts)
def test_what_is_sent_is_received_in_any_reads(bodies: list[bytes], reads: list[int]) -> None:
    codec = Frame()
    stream = b"".join(codec.encode(body) for body in bodies)
    assert stream == framed(*bodies)
    assert drive(codec, stream, cuts=reads) == bodies
    assert held(codec) == 0


nearly_frames = st.lists(
    st.binary(max_size=20) | st.integers(0, 40).map(lambda total: total.to_bytes(4, "big")), max_size=20
).map(b"".join)


@examples
@given(nearly_frames, cuts, st.integers(0, 30))
def test_any_bytes_give_the_same_in_any_reads_and_are_never_held_over_the_limit(
    data: bytes, reads: list[int], limit: int
) -> None:
    whole, cut = Frame(max_message_size=limit), Frame(max_message_size=limit)
    messages: list[Message] = []
    position = 0
    for stop in [*sorted(reads), len(data)]:
        messages += feed(cut, data[position:stop])
        position = max(position, stop)
        assert held(cut) <= limit + 4
    assert messages == feed(whole, data)
    assert str(cut.ending) == str(whole.ending)

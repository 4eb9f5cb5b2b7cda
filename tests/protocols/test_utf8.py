"""RFC 6455 section 8.1: text that is not UTF-8 fails at the first byte at which that can be known."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import (
    CONTINUATION,
    MASK,
    PING,
    TEXT,
    apply_mask,
    assert_fails,
    cuts,
    drive,
    examples,
    feed,
    fragments,
    frame,
    header,
    opened,
    unshaken,
)
from tests.twins import both_loops as both_loops
from tidegate.errors import ProtocolError
from tidegate.protocols import WebSocket
from tidegate.protocols.assembly import Assembly


@functools.cache
def beginnings() -> frozenset[bytes]:
    """What comes before the last byte of any character's encoding, by listing the characters.

    One in 64 is enough: the others differ from it in the last byte only.
    """
    encodings = [chr(point).encode() for point in range(0, 0x110000, 64) if not 0xD800 <= point < 0xE000]
    return frozenset(encoded[:end] for encoded in encodings for end in range(len(encoded)))


def may_begin_text(data: bytes) -> bool:
    """Whether some text begins with those bytes, judged by trying."""
    known = beginnings()
    start = 0
    while start < len(data):
        taken = next((size for size in range(4, 0, -1) if is_character(data[start : start + size], size)), 0)
        if not taken:
            return data[start:] in known
        start += taken
    return True


def is_character(data: bytes, size: int) -> bool:
    try:
        return len(data) == size and len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def first_wrong(data: bytes) -> int | None:
    """How many bytes it takes to know that this is not UTF-8; None where it may still be."""
    return next((end for end in range(1, len(data) + 1) if not may_begin_text(data[:end])), None)


VALID = {
    "nothing": b"",
    "ASCII": b"Hello",
    "the Greek word of Autobahn's 6.2": "κόσμε".encode(),
    "zero": b"\0",
    "two bytes, first": b"\xc2\x80",
    "two bytes, last": b"\xdf\xbf",
    "three bytes, first": b"\xe0\xa0\x80",
    "before the surrogates": b"\xed\x9f\xbf",
    "behind the surrogates": b"\xee\x80\x80",
    "the replacement character": b"\xef\xbf\xbd",
    "three bytes, last, no character": b"\xef\xbf\xbf",
    "a byte order mark": b"\xef\xbb\xbfx",
    "four bytes, first": b"\xf0\x90\x80\x80",
    "four bytes, last": b"\xf4\x8f\xbf\xbf",
    "mixed": "Hello-µ@ßöäüàá-UTF-8!! 🌊".encode(),
}

INVALID = {
    "a lone continuation": b"\x80",
    "the last continuation": b"\xbf",
    "many continuations": b"\x80\xbf\x80\xbf",
    "a two-byte start and a space": b"\xc3 ",
    "a three-byte start and a space": b"\xe1\x80 ",
    "a four-byte start and a space": b"\xf1\x80\x80 ",
    "two starts": b"\xc3\xc3\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "an overlong slash in two": b"\xc0\xaf",
    "an overlong 7F": b"\xc1\xbf",
    "an overlong slash in three": b"\xe0\x80\xaf",
    "an overlong 7FF": b"\xe0\x9f\xbf",
    "an overlong slash in four": b"\xf0\x80\x80\xaf",
    "an overlong FFFF": b"\xf0\x8f\xbf\xbf",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "past the last code point": b"\xf4\x90\x80\x80",
    "far past it": b"\xf5\x80\x80\x80",
    "Autobahn's 6.3": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    "Autobahn's 6.4": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
}

UNFINISHED = {
    "half of two": b"x\xc3",
    "one of three": b"x\xe1",
    "two of three": b"x\xe1\x80",
    "one of four": b"x\xf1",
    "three of four": b"x\xf1\x80\x80",
}

valid = pytest.mark.parametrize("text", VALID.values(), ids=VALID.keys())
invalid = pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
unfinished = pytest.mark.parametrize("data", UNFINISHED.values(), ids=UNFINISHED.keys())


# Whole messages


@valid
def test_valid_text_is_delivered(text: bytes, size: int | None) -> None:
    assert drive(opened(), frame(TEXT, text), size) == [text.decode()]


@valid
def test_valid_text_is_delivered_however_it_is_cut_into_fragments(text: bytes, size: int | None) -> None:
    single = [text[index : index + 1] for index in range(len(text))] or [b""]
    assert drive(opened(), fragments(TEXT, *single), size) == [text.decode()]
    for position in range(len(text) + 1):
        assert drive(opened(), fragments(TEXT, text[:position], text[position:]), size) == [text.decode()]


@invalid
def test_invalid_text_fails_with_1007(data: bytes, size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(TEXT, b"before") + frame(TEXT, data) + frame(TEXT, b"after"), size) == ["before"]
    assert_fails(codec, 1007)


@unfinished
def test_text_that_ends_inside_a_character_fails_with_1007(data: bytes, size: int | None) -> None:
    for whole in (frame(TEXT, data), fragments(TEXT, data, b""), fragments(TEXT, data[:1], data[1:])):
        codec = opened()
        assert drive(codec, whole, size) == []
        assert_fails(codec, 1007)


@invalid
def test_binary_is_not_validated(data: bytes, size: int | None) -> None:
    assert drive(opened(), frame(2, data) + fragments(2, data, data), size) == [data, data * 2]


# The earliest byte


@invalid
def test_invalid_text_fails_inside_its_frame_at_the_first_wrong_byte(data: bytes) -> None:
    codec = opened()
    wrong = first_wrong(data)
    assert wrong is not None
    feed(codec, header(TEXT, len(data) + 10) + MASK)
    masked = apply_mask(data, MASK)
    for index in range(wrong):
        assert codec.ending is None
        feed(codec, masked[index : index + 1])
    assert_fails(codec, 1007)


@invalid
def test_invalid_text_fails_in_the_fragment_with_the_first_wrong_byte(data: bytes) -> None:
    codec = opened()
    wrong = first_wrong(data)
    assert wrong is not None
    for index in range(wrong):
        assert codec.ending is None
        feed(codec, frame(CONTINUATION if index else TEXT, data[index : index + 1], fin=False) + frame(PING))
    assert_fails(codec, 1007)


def within_a_frame(codec: WebSocket, data: bytes) -> None:
    feed(codec, header(TEXT, 100) + bytes(4) + data)


def byte_by_byte(codec: WebSocket, data: bytes) -> None:
    drive(codec, header(TEXT, 100) + bytes(4) + data, size=1)


def over_fragments(codec: WebSocket, data: bytes) -> None:
    drive(codec, fragments(TEXT, *(data[index : index + 1] for index in range(len(data))), b"")[:-6])


BOUNDS = sorted({bound - below for bound in (0x80, 0x90, 0xA0, 0xC0, 0xF8, 0x100) for below in (0, 1)} - {0x100} | {0})
"""The first and the last byte of each range that one behind others is judged by."""


@pytest.mark.parametrize(
    ("feed_it", "seconds"), [(within_a_frame, range(0x100)), (byte_by_byte, BOUNDS), (over_fragments, BOUNDS)]
)
def test_every_pair_of_first_bytes_fails_exactly_where_no_text_begins_so(
    feed_it: Callable[[WebSocket, bytes], None], seconds: Sequence[int]
) -> None:
    for first in range(0x80, 0x100):  # behind ASCII, a second byte is a first one
        for second in seconds:
            data = bytes((first, second))
            codec = unshaken()
            feed_it(codec, data)
            assert (codec.ending is None) == may_begin_text(data), data


def test_every_third_byte_fails_exactly_where_no_text_begins_so() -> None:
    pairs = {beginning for beginning in beginnings() if len(beginning) == 2}
    firsts = {min(same) for _, same in itertools.groupby(sorted(pairs), lambda pair: pair[0])}
    for pair in pairs:
        for third in range(0x100) if pair in firsts else BOUNDS:
            data = pair + bytes((third,))
            assembly = Assembly(TEXT, compressed=False, limit=100)
            assembly.add(pair)
            try:
                assembly.add(data[2:])
                failed = False
            except ProtocolError as error:
                failed = error.code == 1007
            assert failed != (data in beginnings() or is_character(data, 3)), data


@examples
@given(
    st.lists(st.sampled_from([*VALID.values(), *INVALID.values(), *UNFINISHED.values()]), max_size=4),
    cuts,
    cuts,
)
def test_any_text_in_any_fragments_and_reads_is_delivered_or_fails(
    pieces: list[bytes], frames: list[int], reads: list[int]
) -> None:
    data = b"".join(pieces)
    codec = opened()
    bounds = sorted({0, len(data), *(cut for cut in frames if cut < len(data))})
    parts = [data[start:stop] for start, stop in itertools.pairwise(bounds)] or [b""]
    whole = fragments(TEXT, *parts)
    messages = drive(codec, whole, cuts=reads)
    if is_text(data):
        assert messages == [data.decode()]
        assert codec.ending is None
    else:
        assert messages == []
        assert_fails(codec, 1007)


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

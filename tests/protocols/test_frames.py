"""RFC 6455 section 5: frames, fragments and control frames."""

from __future__ import annotations

import pytest

from tests.protocols.support import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    assert_fails,
    drive,
    feed,
    fragments,
    frame,
    header,
    held,
    opened,
)
from tests.twins import both_loops as both_loops
from tidegate.protocols import Message
from tidegate.protocols.frames import close_frame, rotate

BOUNDARIES = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]


# Data frames (section 5.2), masks (5.3)


@pytest.mark.parametrize("length", BOUNDARIES)
def test_a_binary_message_of_any_length_is_delivered(length: int) -> None:
    payload = bytes(index & 255 for index in range(length))
    assert feed(opened(), frame(BINARY, payload)) == [payload]
    assert drive(opened(), frame(BINARY, payload), size=997) == [payload]


@pytest.mark.parametrize("length", BOUNDARIES)
def test_a_text_message_of_any_length_is_delivered(length: int) -> None:
    payload = ("é" * (length // 2) + "x" * (length % 2)).encode()
    assert len(payload) == length
    assert feed(opened(), frame(TEXT, payload)) == [payload.decode()]
    assert drive(opened(), frame(TEXT, payload), size=997) == [payload.decode()]


@pytest.mark.parametrize("length", BOUNDARIES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_message_is_sent_as_one_frame_without_a_mask(opcode: int, length: int) -> None:
    message: Message = "x" * length if opcode == TEXT else b"x" * length
    assert opened().encode(message) == header(opcode, length, masked=False) + b"x" * length


def test_text_is_sent_as_utf_8() -> None:
    assert opened().encode("é") == b"\x81\x02\xc3\xa9"


def test_several_messages_in_a_read_are_delivered_in_order(size: int | None) -> None:
    data = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT) + frame(BINARY, b"four" * 40)
    assert drive(opened(), data, size) == ["one", b"two", "", b"four" * 40]


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\2\3\4"], ids=["zeros", "ones", "counting"])
def test_any_mask_is_undone(mask: bytes, size: int | None) -> None:
    assert drive(opened(), frame(BINARY, b"a longer payload", mask=mask), size) == [b"a longer payload"]


@pytest.mark.parametrize(("count", "rotated"), [(0, b"abcd"), (1, b"bcda"), (3, b"dabc"), (4, b"abcd"), (6, b"cdab")])
def test_the_mask_goes_on_where_a_read_ended(count: int, rotated: bytes) -> None:
    assert rotate(b"abcd", count) == rotated


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE], ids=["text", "binary", "ping", "close"])
def test_a_frame_without_a_mask_fails_with_1002(opcode: int) -> None:
    codec = opened()
    assert feed(codec, header(opcode, 0, masked=False)) == []
    assert_fails(codec, 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("fin", [True, False], ids=["whole", "fragment"])
def test_a_reserved_opcode_fails_with_1002(opcode: int, fin: bool) -> None:
    codec = opened()
    assert feed(codec, header(opcode, 5, fin=fin)) == []
    assert_fails(codec, 1002)


@pytest.mark.parametrize("rsv", [RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_a_reserved_bit_fails_with_1002_at_the_header(opcode: int, rsv: int) -> None:
    codec = opened()
    assert feed(codec, frame(TEXT, b"before") + header(opcode, 5, rsv=rsv)) == ["before"]
    assert_fails(codec, 1002)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(header(BINARY, 0, form=2), id="0 in two bytes"),
        pytest.param(header(BINARY, 125, form=2), id="125 in two bytes"),
        pytest.param(header(BINARY, 0, form=8), id="0 in eight bytes"),
        pytest.param(header(BINARY, 126, form=8), id="126 in eight bytes"),
        pytest.param(header(BINARY, 65535, form=8), id="65535 in eight bytes"),
        pytest.param(header(BINARY, 65535, form=8, fin=False), id="65535 in eight bytes, a fragment"),
        pytest.param(header(BINARY, 1 << 63), id="more than 63 bits"),
        pytest.param(header(BINARY, (1 << 64) - 1), id="64 bits"),
    ],
)
def test_a_length_that_is_not_in_its_shortest_form_fails_with_1002(data: bytes, size: int | None) -> None:
    codec = opened()
    assert drive(codec, data + MASK, size) == []
    assert_fails(codec, 1002)


# Limits


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_a_message_of_the_largest_size_is_delivered(opcode: int, size: int | None) -> None:
    codec = opened(max_message_size=300)
    (message,) = drive(codec, frame(opcode, b"x" * 300), size)
    assert len(message) == 300
    (message,) = drive(codec, fragments(opcode, b"x" * 100, b"x" * 200, b""), size)
    assert len(message) == 300


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("fin", [True, False], ids=["whole", "fragment"])
@pytest.mark.parametrize("length", [301, 65536, (1 << 63) - 1])
def test_a_declared_length_over_the_limit_fails_with_1009_before_any_payload(
    opcode: int, fin: bool, length: int
) -> None:
    codec = opened(max_message_size=300)
    assert feed(codec, header(opcode, length, fin=fin) + MASK) == []
    assert_fails(codec, 1009)


def test_a_whole_frame_over_the_limit_fails_with_1009(size: int | None) -> None:
    codec = opened(max_message_size=300)
    assert drive(codec, frame(TEXT, b"before") + frame(TEXT, b"x" * 301), size) == ["before"]
    assert_fails(codec, 1009)


def test_fragments_that_exceed_the_limit_together_fail_with_1009(size: int | None) -> None:
    codec = opened(max_message_size=300)
    begun = fragments(BINARY, b"x" * 200, b"x" * 100, b"")[: -len(frame(CONTINUATION))]
    assert drive(codec, begun, size) == []
    assert codec.ending is None
    assert drive(codec, header(CONTINUATION, 1, fin=False) + MASK, size) == []
    assert_fails(codec, 1009)


def test_the_limit_counts_each_message_for_itself(size: int | None) -> None:
    assert drive(opened(max_message_size=10), fragments(BINARY, b"12345", b"67890") * 3, size) == [b"1234567890"] * 3


def test_nothing_is_kept_once_a_message_is_delivered(size: int | None) -> None:
    codec = opened()
    drive(codec, fragments(TEXT, b"one", b"two") + frame(PING, b"?"), size)
    assert held(codec) == 0


# Fragments (section 5.4)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"Hel", b"lo"], id="two"),
        pytest.param([b"H", b"e", b"l", b"l", b"o"], id="five"),
        pytest.param([b"", b"Hello"], id="empty first"),
        pytest.param([b"Hello", b""], id="empty last"),
        pytest.param([b"", b"", b""], id="all empty"),
        pytest.param([b"a" * 200, b"b" * 70_000], id="long ones"),
    ],
)
def test_fragments_make_one_message(opcode: int, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    for size in (None, 1, 4096):
        if size == 1 and len(whole) > 1000:
            continue
        assert drive(opened(), fragments(opcode, *parts), size) == [whole.decode() if opcode == TEXT else whole]


def test_control_frames_between_fragments_are_answered_at_once(size: int | None) -> None:
    codec = opened()
    first, second = frame(TEXT, b"Hel", fin=False), frame(CONTINUATION, b"lo")
    assert drive(codec, first + frame(PING, b"a") + frame(PONG, b"b") + frame(PING), size) == []
    assert codec.take_output() == b"\x8a\x01a\x8a\x00"
    assert drive(codec, second, size) == ["Hello"]


def test_a_continuation_of_nothing_fails_with_1002(size: int | None) -> None:
    for fin in (True, False):
        codec = opened()
        assert drive(codec, frame(TEXT, b"done") + frame(CONTINUATION, b"more", fin=fin), size) == ["done"]
        assert_fails(codec, 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("fin", [True, False], ids=["whole", "fragment"])
def test_a_new_message_inside_a_fragmented_one_fails_with_1002(opcode: int, fin: bool, size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(TEXT, b"begun", fin=False) + frame(opcode, b"new", fin=fin), size) == []
    assert_fails(codec, 1002)


@pytest.mark.parametrize("rsv", [RSV1, RSV2, RSV3])
def test_a_reserved_bit_on_a_continuation_fails_with_1002(rsv: int) -> None:
    codec = opened()
    assert drive(codec, frame(TEXT, b"begun", fin=False) + frame(CONTINUATION, b"", rsv=rsv)) == []
    assert_fails(codec, 1002)


# Control frames (section 5.5)


@pytest.mark.parametrize("payload", [b"", b"?", bytes(range(125))], ids=["empty", "short", "longest"])
def test_a_ping_is_answered_with_its_payload(payload: bytes, size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(PING, payload), size) == []
    assert codec.take_output() == b"\x8a" + bytes([len(payload)]) + payload
    assert codec.ending is None


def test_pings_are_answered_in_order(size: int | None) -> None:
    codec = opened()
    drive(codec, b"".join(frame(PING, bytes([number])) for number in range(10)), size)
    assert codec.take_output() == b"".join(b"\x8a\x01" + bytes([number]) for number in range(10))


def test_a_pong_that_nobody_asked_for_is_ignored(size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(PONG, b"alive") + frame(TEXT, b"on"), size) == ["on"]
    assert codec.take_output() == b""
    assert codec.ending is None


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE], ids=["ping", "pong", "close"])
@pytest.mark.parametrize("length", [126, 65536])
def test_a_control_frame_over_125_bytes_fails_with_1002_at_its_first_two(opcode: int, length: int) -> None:
    codec = opened()
    assert feed(codec, header(opcode, length)[:2]) == []
    assert_fails(codec, 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE], ids=["ping", "pong", "close"])
def test_a_fragmented_control_frame_fails_with_1002(opcode: int, size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(opcode, b"", fin=False), size) == []
    assert_fails(codec, 1002)


def test_pongs_for_what_came_before_a_failure_are_still_given() -> None:
    codec = opened()
    assert feed(codec, frame(PING, b"?") + frame(TEXT, b"one") + b"\x83\x80") == ["one"]
    assert codec.take_output() == b"\x8a\x01?"
    assert_fails(codec, 1002)


def test_nothing_is_read_after_a_failure() -> None:
    codec = opened()
    feed(codec, header(TEXT, 0, masked=False))
    ending = codec.ending
    assert feed(codec, frame(TEXT, b"more") + frame(PING)) == []
    assert codec.take_output() == b""
    assert codec.ending is ending
    assert held(codec) == 0


def test_a_ping_of_our_own_has_no_mask() -> None:
    assert opened().ping_frame() == b"\x89\x00"
    assert opened().ping_frame(b"hi") == b"\x89\x02hi"


def test_the_reason_of_a_close_frame_is_cut_between_characters() -> None:
    sent = close_frame(1008, "é" * 100)
    assert sent == b"\x88\x7c\x03\xf0" + "é".encode() * 61

"""RFC 6455 sections 5.5.1 and 7: how a client closes."""

from __future__ import annotations

import pytest

from tests.protocols.support import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    assert_fails,
    drive,
    feed,
    frame,
    held,
    opened,
    unshaken,
)
from tidegate.protocols import Codec

ALLOWED = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
REFUSED = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def assert_closed(codec: Codec, code: int, reason: str, reply: bytes) -> None:
    assert codec.ending is not None
    assert (codec.ending.code, codec.ending.reason) == (code, reason)
    assert codec.ending.reply == reply
    assert codec.ending.error is None
    assert held(codec) == 0


@pytest.mark.parametrize("code", ALLOWED)
def test_a_close_is_echoed_with_its_code(code: int, size: int | None) -> None:
    codec = opened()
    assert drive(codec, closing(code, b"bye"), size) == []
    assert_closed(codec, code, "bye", b"\x88\x02" + code.to_bytes(2, "big"))


def test_a_close_without_a_code_is_echoed_without_one(size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(CLOSE), size) == []
    assert_closed(codec, 1005, "", b"\x88\x00")


@pytest.mark.parametrize("code", REFUSED)
def test_a_code_that_may_not_be_sent_fails_with_1002(code: int, size: int | None) -> None:
    codec = opened()
    assert drive(codec, closing(code, b"bye"), size) == []
    assert_fails(codec, 1002)


def test_every_code_is_either_echoed_or_refused_as_the_registry_says() -> None:
    echoed = set()
    for code in range(65536):
        codec = unshaken()
        feed(codec, closing(code))
        assert codec.ending is not None
        if codec.ending.error is None:
            echoed.add(code)
    assert echoed == {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


def test_a_close_with_one_byte_fails_with_1002(size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(CLOSE, b"\x03"), size) == []
    assert_fails(codec, 1002)


def test_the_longest_reason_is_taken(size: int | None) -> None:
    codec = opened()
    reason = "é" * 61 + "x"
    drive(codec, closing(1000, reason.encode()), size)
    assert_closed(codec, 1000, reason, b"\x88\x02\x03\xe8")


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(b"\xff", id="a byte that is none"),
        pytest.param(b"bye \xc3", id="half a character"),
        pytest.param(b"\xed\xa0\x80", id="a surrogate"),
        pytest.param(b"\xc0\xaf", id="an overlong form"),
        pytest.param(b"\xf4\x90\x80\x80", id="past the last code point"),
    ],
)
def test_a_reason_that_is_not_utf_8_fails_with_1007(reason: bytes, size: int | None) -> None:
    codec = opened()
    assert drive(codec, closing(1000, reason), size) == []
    assert_fails(codec, 1007)


def test_nothing_after_a_close_is_delivered(size: int | None) -> None:
    codec = opened()
    after = frame(TEXT, b"after") + frame(PING, b"?") + closing(1001)
    assert drive(codec, frame(TEXT, b"before") + closing(1000) + after, size) == ["before"]
    assert codec.take_output() == b""
    assert_closed(codec, 1000, "", b"\x88\x02\x03\xe8")


def test_what_came_before_a_close_in_the_same_read_is_delivered_and_answered() -> None:
    codec = opened()
    assert feed(codec, frame(PING, b"?") + frame(BINARY, b"last") + closing(1000)) == [b"last"]
    assert codec.take_output() == b"\x8a\x01?"
    assert_closed(codec, 1000, "", b"\x88\x02\x03\xe8")


def test_a_close_inside_a_fragmented_message_drops_it(size: int | None) -> None:
    codec = opened()
    assert drive(codec, frame(TEXT, b"begun", fin=False) + closing(1001), size) == []
    assert_closed(codec, 1001, "", b"\x88\x02\x03\xe9")


@pytest.mark.parametrize(
    ("code", "reason", "sent"),
    [
        pytest.param(1000, "", b"\x88\x02\x03\xe8", id="a code"),
        pytest.param(4001, "née", b"\x88\x06\x0f\xa1n\xc3\xa9e", id="a code and a reason"),
        pytest.param(1005, "unsaid", b"\x88\x00", id="none, which 1005 stands for"),
    ],
)
def test_a_close_frame_of_our_own_carries(code: int, reason: str, sent: bytes) -> None:
    assert opened().close_frame(code, reason) == sent


def test_a_websocket_waits_for_the_peers_close_frame() -> None:
    assert opened().closes_by_handshake

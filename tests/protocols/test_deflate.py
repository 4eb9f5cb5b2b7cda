"""RFC 7692 section 7.2: messages that are compressed, always without context takeover."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import (
    BINARY,
    CONTINUATION,
    MASK,
    PING,
    RSV1,
    RSV2,
    TEXT,
    assert_fails,
    cuts,
    drive,
    examples,
    feed,
    fragments,
    frame,
    header,
    held,
    opened,
)
from tidegate.protocols import WebSocket
from tidegate.protocols.deflate import MAX_RESTARTS, MIN_SIZE

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # section 7.2.3.1


def compressing(max_message_size: int = 1024 * 1024, parameters: str = "") -> WebSocket:
    return opened(OFFER + parameters, max_message_size=max_message_size, compression=True)


def deflated(data: bytes, flush: int = zlib.Z_SYNC_FLUSH, bits: int = -15) -> bytes:
    """Compress as a client does (section 7.2.1)."""
    compressor = zlib.compressobj(wbits=bits)
    return (compressor.compress(data) + compressor.flush(flush)).removesuffix(b"\0\0\xff\xff")


def inflated(sent: bytes, bits: int = -15) -> bytes:
    """Decompress the payload of a frame from the server (section 7.2.2)."""
    first, length = sent[0], sent[1]
    assert first & RSV1
    start = {126: 4, 127: 10}.get(length, 2)
    return zlib.decompressobj(bits).decompress(sent[start:] + b"\0\0\xff\xff")


# Receiving


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(HELLO, id="7.2.3.1, one block"),
        pytest.param(b"\x00\x05\x00\xfa\xffHello\x00", id="7.2.3.3, a block that is stored"),
        pytest.param(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", id="7.2.3.4, a final block"),
        pytest.param(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", id="7.2.3.5, two blocks"),
        pytest.param(b"\xf3\x48\xcd\xc9\xc9\x07\x00", id="a final block and nothing behind it"),
        pytest.param(deflated(b"Hel", zlib.Z_FINISH) + deflated(b"lo"), id="a block behind a final one"),
    ],
)
def test_the_examples_of_the_rfc_say_hello(payload: bytes, size: int | None) -> None:
    codec = compressing()
    assert drive(codec, frame(TEXT, payload, rsv=RSV1) * 2, size) == ["Hello", "Hello"]
    assert held(codec) == 0
    for position in range(len(payload) + 1):
        parts = fragments(BINARY, payload[:position], payload[position:], rsv=RSV1)
        assert drive(codec, parts, size) == [b"Hello"]


@pytest.mark.parametrize("payload", [b"\x00", b"\x02\x00", b"\x03\x00\x00"], ids=["stored", "fixed", "final"])
def test_an_empty_message_may_be_compressed(payload: bytes, size: int | None) -> None:
    codec = compressing()
    assert drive(codec, frame(TEXT, payload, rsv=RSV1) + frame(BINARY, payload, rsv=RSV1), size) == ["", b""]


def test_messages_may_be_compressed_or_not_as_the_client_likes(size: int | None) -> None:
    data = frame(TEXT, HELLO, rsv=RSV1) + frame(TEXT, b"plain") + fragments(TEXT, b"pl", b"ain") + frame(TEXT)
    assert drive(compressing(), data, size) == ["Hello", "plain", "plain", ""]


def test_a_compressed_message_takes_fragments_and_control_frames_between_them(size: int | None) -> None:
    codec = compressing()
    first, second = frame(TEXT, HELLO[:3], fin=False, rsv=RSV1), frame(CONTINUATION, HELLO[3:])
    assert drive(codec, first + frame(PING, b"?") + second, size) == ["Hello"]
    assert codec.take_output() == b"\x8a\x01?"


def test_a_window_is_not_carried_over_to_the_next_message(size: int | None) -> None:
    codec = compressing()
    shared = b"\xf2\x00\x11\x00\x00"  # section 7.2.3.2: Hello again, by what the window holds
    assert drive(codec, frame(TEXT, HELLO, rsv=RSV1) + frame(TEXT, shared, rsv=RSV1), size) == ["Hello"]
    assert_fails(codec, 1007)


@pytest.mark.parametrize("bits", range(9, 16))
def test_any_window_of_the_clients_is_read(bits: int) -> None:
    text = "".join(f"{number} " for number in range(20_000))
    codec = compressing(parameters=f"; client_max_window_bits={bits}")
    assert drive(codec, frame(TEXT, deflated(text.encode(), bits=-bits), rsv=RSV1), size=1000) == [text]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, HELLO, rsv=RSV1), id="a continuation"),
        pytest.param(
            frame(TEXT, HELLO, fin=False, rsv=RSV1) + frame(CONTINUATION, b"\0", rsv=RSV1),
            id="a continuation of a compressed message",
        ),
        pytest.param(frame(PING, HELLO, rsv=RSV1), id="a ping"),
        pytest.param(frame(8, HELLO, rsv=RSV1), id="a close"),
        pytest.param(frame(TEXT, HELLO, rsv=RSV1 | RSV2), id="a message with another reserved bit"),
    ],
)
def test_rsv1_fails_with_1002_on(data: bytes, size: int | None) -> None:
    codec = compressing()
    assert drive(codec, data, size) == []
    assert_fails(codec, 1002)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x07\x00", id="a reserved block type"),
        pytest.param(b"\xff" * 20, id="ones"),
        pytest.param(b"\x00\x05\x00\x00\x00Hello", id="a stored length that is contradicted"),
        pytest.param(zlib.compress(b"Hello"), id="zlib's own format"),
        pytest.param(b"plain text", id="no compression at all"),
    ],
)
def test_what_does_not_decompress_fails_with_1007(payload: bytes, size: int | None) -> None:
    codec = compressing()
    assert drive(codec, frame(BINARY, payload, rsv=RSV1), size) == []
    assert_fails(codec, 1007)


def test_compressed_text_that_is_not_utf_8_fails_with_1007(size: int | None) -> None:
    for text in (b"wrong \xff", b"half \xc3", b"surrogate \xed\xa0\x80"):
        codec = compressing()
        assert drive(codec, frame(TEXT, deflated(text), rsv=RSV1), size) == []
        assert_fails(codec, 1007)


def test_compressed_text_fails_before_its_frame_is_whole() -> None:
    codec = compressing()
    payload = deflated(b"wrong \xff" + bytes(range(256)) * 300)
    feed(codec, (frame(TEXT, payload, rsv=RSV1))[:-20])
    assert_fails(codec, 1007)


# Limits


def test_a_message_of_the_largest_size_may_be_compressed(size: int | None) -> None:
    codec = compressing(max_message_size=5000)
    assert drive(codec, frame(TEXT, deflated(b"x" * 5000), rsv=RSV1), size) == ["x" * 5000]
    incompressible = b"".join(frame(BINARY, b"\x00\x88\x13\x77\xec" + b"x" * 5000 + b"\x00", rsv=RSV1) for _ in "12")
    assert drive(codec, incompressible, size) == [b"x" * 5000] * 2


def test_a_message_that_decompresses_to_more_than_the_limit_fails_with_1009(size: int | None) -> None:
    codec = compressing(max_message_size=5000)
    assert drive(codec, frame(BINARY, deflated(b"x" * 5001), rsv=RSV1), size) == []
    assert_fails(codec, 1009)


def test_fragments_that_decompress_to_more_than_the_limit_together_fail_with_1009(size: int | None) -> None:
    codec = compressing(max_message_size=5000)
    payload = deflated(b"x" * 3000, zlib.Z_FINISH) + deflated(b"x" * 2001)
    assert drive(codec, fragments(BINARY, payload[:10], payload[10:], rsv=RSV1), size) == []
    assert_fails(codec, 1009)


def test_a_bomb_stops_at_the_limit_before_its_frame_is_whole() -> None:
    bomb = frame(BINARY, deflated(bytes(64 * 1024 * 1024)), rsv=RSV1)
    codec = compressing(max_message_size=100_000)
    most = used = 0
    for start in range(0, len(bomb), 16):
        feed(codec, bomb[start : start + 16])
        most = max(most, held(codec))
        used = start + 16
        if codec.ending is not None:
            break
    assert_fails(codec, 1009)
    assert most <= 100_000
    assert used < 200


def test_a_bomb_of_many_final_blocks_is_refused() -> None:
    codec = compressing()
    assert feed(codec, frame(BINARY, b"\x03\x00" * MAX_RESTARTS + b"\0", rsv=RSV1)) == [b""]
    assert feed(codec, frame(BINARY, b"\x03\x00" * (MAX_RESTARTS + 1), rsv=RSV1)) == []
    assert_fails(codec, 1007)


def test_a_compressed_frame_may_be_longer_than_what_it_holds() -> None:
    codec = compressing(max_message_size=10)
    assert feed(codec, frame(BINARY, b"\0\0\0\xff\xff" * 50 + b"\0", rsv=RSV1)) == [b""]


def test_a_compressed_frame_that_declares_a_huge_length_is_not_waited_for_in_memory() -> None:
    codec = compressing(max_message_size=1000)
    feed(codec, header(BINARY, 1 << 40, rsv=RSV1) + MASK)
    for _ in range(1000):
        feed(codec, b"\0" * 100)
        assert held(codec) <= 1000
        if codec.ending is not None:
            break
    assert codec.ending is not None


# Sending


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_a_message_is_sent_compressed_in_the_window_agreed_on(bits: int) -> None:
    codec = compressing(parameters=f"; server_max_window_bits={bits}")
    text = "".join(f"{number} " for number in range(10_000))
    assert inflated(codec.encode(text), bits=-bits).decode() == text
    assert inflated(codec.encode(text.encode()), bits=-bits) == text.encode()


def test_a_short_message_is_sent_as_it_is() -> None:
    codec = compressing()
    assert codec.encode("x" * (MIN_SIZE - 1))[0] == 0x81
    assert codec.encode("x" * MIN_SIZE)[0] == 0x81 | RSV1
    assert codec.encode("") == b"\x81\x00"


def test_what_compression_makes_longer_is_sent_as_it_is() -> None:
    payload = bytes(range(256))
    assert compressing().encode(payload) == b"\x82\x7e\x01\x00" + payload


def test_messages_are_compressed_alike_whatever_was_sent_before() -> None:
    codec = compressing()
    first = codec.encode("the same " * 20)
    codec.encode("another " * 50)
    assert codec.encode("the same " * 20) == first == compressing().encode("the same " * 20)


@examples
@given(st.binary(max_size=300).map(lambda data: data * 3), cuts, cuts)
def test_what_is_deflated_in_any_fragments_and_reads_is_delivered(
    data: bytes, frames: list[int], reads: list[int]
) -> None:
    payload = deflated(data)
    bounds = sorted({0, len(payload), *(cut for cut in frames if cut < len(payload))})
    parts = [payload[start:stop] for start, stop in itertools.pairwise(bounds)]
    assert drive(compressing(), fragments(BINARY, *parts, rsv=RSV1), cuts=reads) == [data]


@examples
@given(st.binary(max_size=80).map(lambda data: data * 20) | st.binary(max_size=300), st.integers(9, 15))
def test_what_is_sent_compressed_inflates_to_itself(data: bytes, bits: int) -> None:
    sent = compressing(parameters=f"; server_max_window_bits={bits}").encode(data)
    if sent[0] & RSV1:
        assert inflated(sent, bits=-bits) == data
    else:
        assert sent.endswith(data)

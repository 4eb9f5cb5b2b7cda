"""The server's side of WebSocket: frames, fragments, compression, closing."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from typing import Any

from websockets.frames import DATA_OPCODES, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.fuzz.source import Source, reads
from tests.fuzz.target import Target
from tests.protocols.support import BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, TEXT, feed, fragments, frame, held
from tidegate.protocols import Message, WebSocket
from tidegate.protocols.frames import FIN

__all__ = ["TARGETS"]

LIMITS = (1024 * 1024, 0, 5, 125, 126, 1000, 65536)
QUIET = logging.getLogger("tests.fuzz.websockets")
QUIET.disabled = True


def opened(limit: int, bits: int) -> WebSocket:
    codec = WebSocket(limit)
    codec.ready, codec.variant = True, bits
    return codec


def run_stream(data: bytes) -> None:
    """Any bytes behind a handshake: what they are does not depend on the reads, and `websockets` sees the same."""
    source = Source(data)
    limit, bits, sizes = source.choose(LIMITS), source.choose((0, 15, 9)), source.sizes()
    stream = source.rest()
    whole, cut = opened(limit, bits), opened(limit, bits)
    messages = feed(whole, stream)
    in_reads: list[Message] = []
    for read in reads(stream, sizes):
        in_reads += feed(cut, read)
        if cut.ending is None:
            assert held(cut) <= limit + 140
    assert in_reads == messages
    assert list(map(type, in_reads)) == list(map(type, messages))
    assert cut.take_output() == whole.take_output()
    for message in messages:
        assert len(message.encode() if isinstance(message, str) else message) <= limit
    compare_endings(whole, cut, bits)
    if not bits:  # of a final block in a compressed message it makes the end
        compare_with_websockets(stream, limit, whole, messages)


def compare_endings(whole: WebSocket, cut: WebSocket, bits: int) -> None:
    if whole.ending is None or cut.ending is None:
        assert whole.ending is cut.ending
        return
    codes = {whole.ending.code, cut.ending.code}
    # What is too long once decompressed may be no text before that, where it comes in small reads.
    assert len(codes) == 1 or (bits and codes == {1007, 1009})
    assert held(whole) == held(cut) == 0
    for codec in (whole, cut):
        assert codec.ending is not None
        assert len(codec.ending.reply) <= 127
        assert feed(codec, b"\x81\x80mask") == []


def compare_with_websockets(stream: bytes, limit: int, codec: WebSocket, messages: list[Message]) -> None:
    theirs, failed, closed = read_by_websockets(stream, limit)
    if codec.ending is None:
        assert messages == theirs
        assert not failed or len(codec._held) < 14  # of a header the mask was still awaited
        assert not closed
    else:  # which is sooner here: not at the end of a frame that can't become right any more
        assert messages == theirs[: len(messages)]
        if codec.ending.error is None:
            assert closed
            assert messages == theirs


def read_by_websockets(stream: bytes, limit: int) -> tuple[list[Message], bool, bool]:
    """The messages that another implementation finds, whether the stream fails there, and whether it is closed."""
    # Its limit is one on control frames as well.
    protocol = ServerProtocol(state=State.OPEN, max_size=limit if limit > 125 else None, logger=QUIET)
    protocol.receive_data(stream)
    messages: list[Message] = []
    payload, is_text = b"", False
    for event in protocol.events_received():
        item: Any = event
        if item.opcode not in DATA_OPCODES:
            continue
        if item.opcode is not Opcode.CONT:
            payload, is_text = b"", item.opcode is Opcode.TEXT
        payload += item.data
        if item.fin:
            try:
                messages.append(payload.decode() if is_text else payload)
            except UnicodeDecodeError:
                return messages, True, False
    return messages, protocol.parser_exc is not None, protocol.close_rcvd is not None


def squeeze(payload: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def seeds() -> Iterator[bytes]:
    streams = (
        frame(TEXT, "hello 世界".encode()) + frame(BINARY, b"\0\xff"),
        fragments(TEXT, b"a", "é".encode()[:1], "é".encode()[1:], b"") + frame(PING, b"p") + frame(PONG),
        frame(TEXT, b"x" * 126) + frame(BINARY, b"y" * 300),
        frame(TEXT, b"a", fin=False) + frame(PING, b"amid") + frame(CONTINUATION, b"b"),
        frame(CLOSE, b"\x03\xe8bye"),
        frame(CLOSE),
        frame(TEXT, b"\xed\xa0\x80"),
    )
    for stream in streams:
        yield b"\0\0\0\0\0" + stream
        yield b"\0\0\1\2\3" + stream
    bomb = squeeze(bytes(100_000))
    for payload in (squeeze(b"hello " * 50), bomb, bomb[:40], squeeze(b"") * 3, b"\x03\x00" * 20):
        yield b"\0\1\0\0\0" + frame(TEXT, payload, rsv=RSV1)
        yield b"\5\1\7\3\1" + fragments(BINARY, payload[:9], payload[9:], rsv=RSV1)


def run_encoding(data: bytes) -> None:
    """What is sent is what `websockets` reads as a client would."""
    source = Source(data)
    codec = opened(1000, source.choose((0, 15, 9)))
    body = source.rest()
    sent = codec.encode_body(body)
    first, size, start = sent[0], sent[1], 2
    assert first & FIN
    assert not size & 0x80
    if size > 125:
        start = 4 if size == 126 else 10
        size = int.from_bytes(sent[2:start])
    payload = sent[start:]
    assert len(payload) == size
    if first & RSV1:
        assert codec.variant
        payload = zlib.decompressobj(-codec.variant).decompress(payload + b"\0\0\xff\xff")
    assert payload == body
    try:
        body.decode()
        assert first & 15 == TEXT
    except UnicodeDecodeError:
        assert first & 15 == BINARY
    codec.variant = 0
    assert codec.encode_bodies([body, b"x"]) == [codec.encode_body(body), b"\x81\x01x"]
    reason = body.decode(errors="replace")
    assert 4 <= len(codec.close_frame(1000, reason)) <= 127


TARGETS = (
    Target("websocket", run_stream, seeds),
    Target("websocket-encoding", run_encoding, lambda: [b"\0hello", b"\1" + b"hello" * 30, b"\2" + bytes(range(256))]),
)

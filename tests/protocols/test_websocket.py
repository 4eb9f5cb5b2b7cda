"""Whole WebSocket conversations: in any reads, with any bytes, and with a client that others wrote."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.protocols.support import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RSV1,
    TEXT,
    cuts,
    drive,
    examples,
    feed,
    fragments,
    frame,
    held,
    opened,
    request,
)
from tests.twins import both_loops as both_loops
from tidegate.protocols import Message, WebSocket
from tidegate.protocols.assembly import MANY, SMALL
from tidegate.protocols.handshake import MAX_REQUEST_SIZE
from tidegate.protocols.websocket import MAX_CONTROLS

CONTROL = 2 + 4 + 125
"""Bytes of the longest control frame, which is held until it is whole; no header is longer."""

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

payloads = st.binary(max_size=150) | st.text(max_size=40).map(str.encode)
cut_payloads = st.lists(payloads, min_size=1, max_size=3)

right_frames = st.one_of(
    st.builds(lambda parts: fragments(BINARY, *parts), cut_payloads),
    st.builds(lambda text: frame(TEXT, text.encode()), st.text(max_size=60)),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)
near_frames = st.one_of(
    st.builds(
        frame,
        st.sampled_from([0, TEXT, BINARY, 3, CLOSE, PING, PONG, 11]),
        payloads,
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, RSV1, 0x20]),
        form=st.sampled_from([0, 0, 2, 8]),
        mask=st.binary(min_size=4, max_size=4),
    ),
    right_frames,
    st.binary(max_size=20),
)


@dataclass
class Outcome:
    """What can be seen of a codec that was fed a stream.

    Of a compressed message with several faults, the reads decide which one comes to light first.
    """

    messages: list[Message]
    output: bytes
    ending: str


def outcome(codec: WebSocket, data: bytes, reads: list[int]) -> Outcome:
    messages = drive(codec, data, cuts=reads)
    failed = codec.ending is not None and codec.ending.error is not None
    return Outcome(messages, codec.take_output(), "failed" if failed and codec.variant else str(codec.ending))


# Any reads


@examples
@given(st.lists(right_frames, max_size=8).map(b"".join), cuts)
def test_a_right_stream_gives_the_same_in_any_reads(data: bytes, reads: list[int]) -> None:
    whole = WebSocket()
    seen = outcome(whole, request() + data, reads)
    assert whole.ending is None
    assert held(whole) == 0
    assert outcome(WebSocket(), request() + data, []) == seen
    assert outcome(WebSocket(), request() + data, list(range(len(request()), len(request() + data)))) == seen


@examples
@given(st.lists(near_frames, max_size=8).map(b"".join), cuts, st.booleans())
def test_a_wrong_stream_gives_the_same_in_any_reads(data: bytes, reads: list[int], compression: bool) -> None:
    def fed(reads: list[int]) -> Outcome:
        return outcome(opened(DEFLATE, compression=compression, max_message_size=200), data, reads)

    whole = fed([])
    assert fed(reads) == whole
    assert fed(list(range(len(data)))) == whole


# Any bytes


@examples
@given(st.binary(max_size=400), cuts)
def test_any_bytes_instead_of_a_handshake_are_refused_or_waited_on(data: bytes, reads: list[int]) -> None:
    codec = WebSocket()
    assert drive(codec, data, cuts=reads) == []
    assert held(codec) <= MAX_REQUEST_SIZE
    assert not codec.ready
    if codec.ending is not None:
        assert codec.ending.reply.startswith(b"HTTP/1.1 4")
        assert held(codec) == 0


@examples
@given(st.binary(max_size=60), st.integers(0, len(request()) - 4), st.integers(0, 30))
def test_a_handshake_with_any_bytes_in_it_is_answered(noise: bytes, position: int, dropped: int) -> None:
    codec = WebSocket(compression=True)
    data = request(DEFLATE)
    drive(codec, data[:position] + noise + data[position + dropped :])
    assert codec.ready or codec.ending is not None or held(codec)


@examples
@given(st.lists(near_frames, max_size=12).map(b"".join), cuts, st.integers(0, 200), st.booleans())
def test_any_bytes_behind_a_handshake_are_never_held_over_the_limit(
    data: bytes, reads: list[int], limit: int, compression: bool
) -> None:
    codec = opened(DEFLATE, compression=compression, max_message_size=limit)
    for start, stop in itertools.pairwise([0, *sorted(reads), len(data)]):
        for message in feed(codec, data[start:stop]):
            assert len(message.encode() if isinstance(message, str) else message) <= limit
        assert held(codec) <= limit + CONTROL
    if codec.ending is not None:
        assert codec.ending.reply[:1] == b"\x88"
        assert held(codec) == 0


def test_a_failure_is_kept_without_what_it_was_raised_from() -> None:
    for codec, data in ((opened(), frame(TEXT, b"\xff")), (WebSocket(), b"GET / HTTP/9\r\n\r\n")):
        drive(codec, data)
        assert codec.ending is not None
        error = codec.ending.error
        assert error is not None
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def test_thousands_of_early_pings_are_answered_behind_the_handshake() -> None:
    codec = WebSocket()
    feed(codec, request() + frame(PING) * MAX_CONTROLS)
    assert codec.accept() == []
    assert codec.take_output().endswith(b"\r\n\r\n" + b"\x8a\x00" * MAX_CONTROLS)


def test_more_control_frames_at_once_than_a_client_sends_that_means_well_end_the_connection() -> None:
    codec = opened()
    for _ in range(3):
        feed(codec, frame(PONG) * MAX_CONTROLS)
    assert codec.ending is None
    feed(codec, frame(PING) * (MAX_CONTROLS + 1))
    assert codec.ending is not None
    assert codec.ending.code == 1008


@pytest.mark.parametrize(("size", "fails"), [(0, True), (1, True), (SMALL - 1, True), (SMALL, False)])
def test_a_message_in_very_many_very_small_fragments_ends_the_connection(size: int, fails: bool) -> None:
    codec = opened()
    fragment = b"x" * size
    assert feed(codec, frame(BINARY, fragment, fin=False)) == []
    for _ in range(MANY - 1):
        assert feed(codec, frame(CONTINUATION, fragment, fin=False)) == []
    assert codec.ending is None
    assert feed(codec, frame(CONTINUATION, fragment)) == ([] if fails else [fragment * (MANY + 1)])
    assert (codec.ending is not None and codec.ending.code == 1008) is fails


# A client that others wrote


class Peer:
    """A client by the `websockets` library, joined to a server by hand."""

    def __init__(self, codec: WebSocket, compression: bool = False) -> None:
        self.codec = codec
        self.client = ClientProtocol(
            parse_uri("ws://server.example.com/chat?room=1"),
            origin=None,
            extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=True)] if compression else None,
            subprotocols=[Subprotocol("other"), Subprotocol("chat")],
        )
        self.client.send_request(self.client.connect())
        assert self.exchange() == []
        assert self.client.handshake_exc is None
        assert self.client.state is State.OPEN
        self.client.events_received()

    def exchange(self) -> list[Message]:
        """Carry what the client has written to the server, and the answer back; gives the server's messages."""
        messages = drive(self.codec, b"".join(self.client.data_to_send()), size=7)
        self.receive(self.codec.take_output())
        return messages

    def receive(self, data: bytes) -> None:
        self.client.receive_data(data)
        assert self.client.parser_exc is None

    def frames(self) -> list[tuple[Opcode, bytes]]:
        return [
            (event.opcode, bytes(event.data)) for event in self.client.events_received() if isinstance(event, Frame)
        ]


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def peer(request: pytest.FixtureRequest) -> Peer:
    compression: bool = request.param
    peer = Peer(WebSocket(compression=compression, subprotocols=("chat",)), compression)
    assert peer.client.subprotocol == "chat"
    assert bool(peer.client.extensions) == bool(peer.codec.variant) == compression
    return peer


LENGTHS = [0, 1, 63, 64, 125, 126, 1000, 65535, 65536]


@pytest.mark.parametrize("length", LENGTHS)
def test_messages_of_any_length_go_both_ways(peer: Peer, length: int) -> None:
    text = ("wave " * length)[:length]
    peer.client.send_text(text.encode())
    peer.client.send_binary(text.encode())
    assert peer.exchange() == [text, text.encode()]
    peer.receive(peer.codec.encode(text) + peer.codec.encode(text.encode()))
    assert peer.frames() == [(Opcode.TEXT, text.encode()), (Opcode.BINARY, text.encode())]


def test_fragments_and_pings_go_both_ways(peer: Peer) -> None:
    peer.client.send_text("κόσ".encode(), fin=False)
    peer.client.send_ping(b"?")
    peer.client.send_continuation("με".encode(), fin=True)
    assert peer.exchange() == ["κόσμε"]
    assert peer.frames() == [(Opcode.PONG, b"?")]
    peer.receive(peer.codec.ping_frame(b"!"))
    assert peer.frames() == [(Opcode.PING, b"!")]
    assert peer.exchange() == []
    assert peer.codec.ending is None


def test_a_client_that_closes_gets_its_close_frame_back(peer: Peer) -> None:
    peer.client.send_close(4000, "enough")
    assert peer.exchange() == []
    assert peer.codec.ending is not None
    assert (peer.codec.ending.code, peer.codec.ending.reason) == (4000, "enough")
    peer.receive(peer.codec.ending.reply)
    assert peer.client.close_rcvd is not None
    assert peer.client.close_rcvd.code == 4000


def test_a_client_that_is_told_to_leave_answers_with_a_close_frame(peer: Peer) -> None:
    peer.receive(peer.codec.close_frame(1012, "back soon"))
    assert peer.client.close_rcvd is not None
    assert (peer.client.close_rcvd.code, peer.client.close_rcvd.reason) == (1012, "back soon")
    assert peer.exchange() == []
    assert peer.codec.ending is not None
    assert peer.codec.ending.code == 1012
    assert peer.codec.ending.error is None


def test_a_client_that_breaks_the_rules_reads_why(peer: Peer) -> None:
    feed(peer.codec, frame(3))
    assert peer.codec.ending is not None
    peer.receive(peer.codec.ending.reply)
    assert peer.client.close_rcvd is not None
    assert (peer.client.close_rcvd.code, peer.client.close_rcvd.reason) == (1002, "opcode 3 is reserved")


def test_a_plain_answer_is_read_by_the_client_as_http() -> None:
    client = ClientProtocol(parse_uri("ws://server.example.com/"))
    asked = client.connect()
    asked.headers["Sec-WebSocket-Protocol"] = "not a token"
    client.send_request(asked)
    codec = WebSocket()
    drive(codec, b"".join(client.data_to_send()))
    assert codec.ending is not None
    client.receive_data(codec.ending.reply)
    client.receive_eof()
    assert "HTTP 400" in str(client.handshake_exc)


messages = st.lists(st.text(max_size=40) | st.binary(max_size=100) | st.binary(max_size=20).map(lambda d: d * 50))


@examples
@given(messages, st.booleans())
def test_any_messages_go_both_ways_in_order(messages: list[Message], compression: bool) -> None:
    peer = Peer(WebSocket(compression=compression, subprotocols=("chat",)), compression)
    expected = []
    for message in messages:
        if isinstance(message, str):
            peer.client.send_text(message.encode())
            expected.append((Opcode.TEXT, message.encode()))
        else:
            peer.client.send_binary(message)
            expected.append((Opcode.BINARY, message))
    assert peer.exchange() == messages
    peer.receive(b"".join(peer.codec.encode(message) for message in messages))
    assert peer.frames() == expected

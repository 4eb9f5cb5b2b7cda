from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.cluster.nats.headers import Headers, encode_headers, parse_headers
from tidegate.cluster.nats.protocol import (
    MAX_INFO_SIZE,
    MAX_LINE_SIZE,
    MAX_PAYLOAD_SIZE,
    Event,
    Info,
    Message,
    Parser,
    Refusal,
    Signal,
    encode_connect,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)
from tidegate.errors import ProtocolError

INFO = b'INFO {"version":"2.11.4","max_payload":1048576,"connect_urls":["a:1","b:2"],"nonce":"n","x":1} \r\n'

tokens = st.text("abcXYZ09-_=$.", min_size=1, max_size=20)
payloads = st.binary(max_size=200)
fields = st.dictionaries(st.text("abcXYZ-", min_size=1), st.text("abc :é", min_size=1).map(str.strip), max_size=3)


def message_bytes(subject: str, sid: int, reply: str, headers: dict[str, str] | None, payload: bytes) -> bytes:
    """As a server writes it."""
    words = [subject, str(sid), *([reply] if reply else [])]
    head = encode_headers(headers) if headers is not None else b""
    sizes = [str(len(head)), str(len(head) + len(payload))] if headers is not None else [str(len(payload))]
    kind = "MSG" if headers is None else "HMSG"
    return " ".join((kind, *words, *sizes)).encode() + b"\r\n" + head + payload + b"\r\n"


@st.composite
def said(draw: st.DrawFn) -> tuple[Event, bytes]:
    """An event, and how a server says it."""
    kind = draw(st.sampled_from(["message", "PING", "PONG", "+OK", "-ERR"]))
    if kind == "-ERR":
        return Refusal("Slow Consumer"), b"-ERR 'Slow Consumer'\r\n"
    if kind != "message":
        return Signal(kind), kind.encode() + b"\r\n"
    subject, reply, payload = draw(tokens), draw(st.just("") | tokens), draw(payloads)
    sid, headers = draw(st.integers(0, 10**9)), draw(st.none() | fields)
    parsed = None if headers is None else Headers(0, "", headers)
    return Message(subject, reply, parsed, payload, sid), message_bytes(subject, sid, reply, headers, payload)


def feed(parser: Parser, *pieces: bytes) -> list[Event]:
    return [event for piece in pieces for event in parser.feed(memoryview(piece))]


@settings(max_examples=60)
@given(st.lists(said(), max_size=8), st.lists(st.integers(0, 2000), max_size=10))
def test_any_splitting_gives_the_same_events(items: list[tuple[Event, bytes]], cuts: list[int]) -> None:
    stream = b"".join(data for _, data in items)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    parser = Parser()
    events = feed(parser, *(stream[start:stop] for start, stop in pairwise(edges)))
    assert parser.error is None
    assert not parser.is_amid
    assert events == [event for event, _ in items]


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"MSG a 1 5\r\n", b"HMSG a 1 2 5\r\n", INFO, b"\r\n"])))
def test_hostile_bytes_end_in_an_error_and_nothing_else(pieces: list[bytes]) -> None:
    parser = Parser()
    feed(parser, *pieces)
    if parser.error is not None:
        assert isinstance(parser.error, ProtocolError)
        assert feed(parser, b"PING\r\n") == []


def test_info_tells_of_the_server() -> None:
    (info,) = feed(Parser(), INFO)
    assert isinstance(info, Info)
    assert info[:4] == ("2.11.4", 1048576, ("a:1", "b:2"), "n")
    assert info.fields["x"] == 1


def test_what_came_before_an_error_is_given() -> None:
    parser = Parser()
    assert feed(parser, b"PING\r\nMSG a 1 1\r\nxyz") == [Signal("PING")]
    assert parser.error is not None


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a 1\r\n",
        b"MSG a b 1\r\n",
        b"MSG a 1 -1\r\n",
        b"MSG a -1 1\r\n",
        b"MSG a 1 r s 1\r\n",
        b"MSG \xff 1 1\r\n",
        b"MSG a 1 %d\r\n" % (MAX_PAYLOAD_SIZE + 1),
        b"MSG a 1 1\r\nxx\r\n",
        b"HMSG a 1 0 5\r\nhello\r\n",
        b"HMSG a 1 9 5\r\n",
        b"HMSG a 1 12 12\r\nNATS/1.0\r\n\r",
        b"HMSG a 1 16 16\r\nHTTP/1.0 200 OK\n\r\n",
        b"HMSG a 1 20 20\r\nNATS/1.0\r\nnocolon\r\n\r\n\r\n",
        b"HMSG a 1 17 17\r\nNATS/1.0 abc\r\n\r\n\r\n",
        b"INFO\r\n",
        b"INFO []\r\n",
        b'INFO {"max_payload":true}\r\n',
        b'INFO {"max_payload":1,"connect_urls":5}\r\n',
        b"INFO " + b"[" * 100_000 + b"\r\n",
        b"SUB a 1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"x" * (MAX_LINE_SIZE + 2),
        b"MSG " + b"x" * (MAX_LINE_SIZE + 2),
        b"INFO " + b"x" * (MAX_INFO_SIZE + 2),
    ],
)
def test_what_breaks_the_rules_is_an_error(line: bytes) -> None:
    parser = Parser()
    assert feed(parser, line, b"xxxxx") == []
    assert parser.error is not None


def test_info_may_be_longer_than_another_line() -> None:
    urls = [f"10.0.0.1:{port}" for port in range(2000)]
    line = b"INFO %b\r\n" % json.dumps({"max_payload": 1, "connect_urls": urls}).encode()
    parser = Parser()
    (info,) = feed(parser, line[:5], line[5:9000], line[9000:])
    assert isinstance(info, Info)
    assert list(info.connect_urls) == urls


def test_a_message_of_many_reads_is_looked_at_once_it_is_complete() -> None:
    parser = Parser()
    data = message_bytes("a", 1, "", None, b"x" * 1_000_000)
    events = feed(parser, *(data[start : start + 1000] for start in range(0, len(data), 1000)))
    assert [len(event.payload) for event in events if isinstance(event, Message)] == [1_000_000]


def test_a_status_is_read() -> None:
    assert parse_headers(b"NATS/1.0 503\r\n\r\n") == (503, "", {})
    assert parse_headers(b"NATS/1.0 100 Idle Heartbeat\r\nA: b\r\na:c\r\nA: d\r\n\r\n") == (
        100,
        "Idle Heartbeat",
        {"A": "b", "a": "c"},
    )


@settings(max_examples=30)
@given(fields)
def test_headers_come_back_as_they_were(given: dict[str, str]) -> None:
    assert parse_headers(encode_headers(given)) == (0, "", given)


@pytest.mark.parametrize("headers", [{"": "a"}, {"a b": "c"}, {"a:": "c"}, {"a": "b\r\nc: d"}, {"a": "b\n"}])
def test_headers_that_would_break_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        encode_headers(headers)


def test_what_a_client_says() -> None:
    assert encode_connect({"a": 1}) == b'CONNECT {"a":1}\r\n'
    assert encode_subscribe("a.>", 7) == b"SUB a.> 7\r\n"
    assert encode_unsubscribe(7) == b"UNSUB 7\r\n"
    assert encode_publish("a", b"hello") == b"PUB a 5\r\nhello\r\n"
    assert encode_publish("a", b"", "b") == b"PUB a b 0\r\n\r\n"
    assert encode_publish("a", b"hi", "b", {"C": "d"}) == b"HPUB a b 18 20\r\nNATS/1.0\r\nC: d\r\n\r\nhi\r\n"


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPING", "a\t", "\x00", "a\x7f"])
def test_what_is_no_subject_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        encode_publish(subject, b"")
    with pytest.raises(ValueError, match="subject"):
        encode_subscribe(subject, 1)
    with pytest.raises(ValueError, match="subject"):
        encode_publish("a", b"", f"x{subject} ")

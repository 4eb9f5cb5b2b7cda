"""Lines of text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocols.support import cuts, drive, examples, feed, held
from tidegate.protocols import Message, Text


def assert_ended(codec: Text, code: int) -> None:
    assert codec.ending is not None
    assert codec.ending.code == code
    assert codec.ending.reply == b""
    assert codec.ending.error is not None
    assert codec.ending.error.code == code
    assert held(codec) == 0
    assert feed(codec, b"more\n") == []


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"hello\n", ["hello"], id="a line"),
        pytest.param(b"hello\r\n", ["hello"], id="a line as telnet ends it"),
        pytest.param(b"one\ntwo\r\nthree\n", ["one", "two", "three"], id="several"),
        pytest.param(b"\n\r\n\n", ["", "", ""], id="empty ones"),
        pytest.param(b"a\rb\r\r\n", ["a\rb\r"], id="carriage returns of its own"),
        pytest.param(b"one\ntwo", ["one"], id="one without an end"),
        pytest.param("κόσμε 🌊\n".encode(), ["κόσμε 🌊"], id="UTF-8"),
        pytest.param(b"\xff\xfe\nfine\n", [b"\xff\xfe", "fine"], id="what is no text"),
        pytest.param(b"a\x00b\x0b\x0c\xe2\x80\xa8\n", ["a\0b\v\f\u2028"], id="ends of other kinds"),
        pytest.param(b" HTTP/1.1\n", [" HTTP/1.1"], id="half a request"),
        pytest.param(b"who knows HTTP/ well\n", ["who knows HTTP/ well"], id="talk about HTTP"),
        pytest.param(b'{"q": "GET / HTTP/1.1"}\n', ['{"q": "GET / HTTP/1.1"}'], id="JSON about a request"),
    ],
)
def test_lines_are_messages(data: bytes, messages: list[Message], size: int | None) -> None:
    codec = Text()
    assert drive(codec, data, size) == messages
    assert codec.ending is None


def test_a_line_without_an_end_is_finished_by_a_later_read() -> None:
    codec = Text()
    assert feed(codec, b"one\ntw") == ["one"]
    assert feed(codec, b"o\r") == []
    assert feed(codec, b"\nthree\n") == ["two", "three"]
    assert held(codec) == 0


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_line_of_the_largest_size_is_delivered(end: bytes, size: int | None) -> None:
    assert drive(Text(max_message_size=10), (b"x" * 10 + end) * 3, size) == ["x" * 10] * 3


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_longer_line_ends_the_connection_with_1009(end: bytes, size: int | None) -> None:
    codec = Text(max_message_size=10)
    assert drive(codec, b"before\n" + b"x" * 11 + end + b"after\n", size) == ["before"]
    assert_ended(codec, 1009)


def test_a_line_without_an_end_is_given_up_at_its_first_byte_too_many() -> None:
    codec = Text(max_message_size=10)
    assert drive(codec, b"x" * 10, size=1) == []
    assert codec.ending is None
    assert feed(codec, b"x") == []
    assert_ended(codec, 1009)


def test_only_a_line_feed_may_follow_the_carriage_return_of_the_longest_line() -> None:
    codec = Text(max_message_size=10)
    assert drive(codec, b"x" * 10 + b"\r", size=1) == []
    assert codec.ending is None
    assert feed(codec, b"x") == []
    assert_ended(codec, 1009)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"POST / HTTP/1.1",
        b"POST /%7B%22uid%22%3A1%7D HTTP/1.1",
        b"OPTIONS * HTTP/1.0",
        b"get /a b HTTP/1.1",
        b"GET http://127.0.0.1:5678/ HTTP/2",
        b"PRI * HTTP/2.0",
    ],
)
def test_a_line_that_looks_like_an_http_request_ends_the_connection_with_1008(line: bytes, size: int | None) -> None:
    codec = Text()
    data = b"before\n" + line + b'\r\nHost: localhost\r\n\r\n{"uid": "1"}\n'
    assert drive(codec, data, size) == ["before"]
    assert_ended(codec, 1008)


@pytest.mark.parametrize(
    ("message", "sent"),
    [("hello", b"hello\n"), ("é", b"\xc3\xa9\n"), (b"\xff", b"\xff\n"), ("", b"\n")],
    ids=["text", "UTF-8", "bytes", "nothing"],
)
def test_a_message_is_sent_as_a_line(message: Message, sent: bytes) -> None:
    assert Text().encode(message) == sent
    assert Text().close_frame(1000, "bye") == b""


def test_another_encoding_holds_in_both_directions(size: int | None) -> None:
    codec = Text(encoding="gbk")
    assert codec.encode("你好") == b"\xc4\xe3\xba\xc3\n"
    assert drive(codec, b"\xc4\xe3\xba\xc3\n\xff\n", size) == ["你好", b"\xff"]


lines = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=10)


@examples
@given(lines.filter(lambda texts: not any(" HTTP/" in text or text.endswith("\r") for text in texts)), cuts)
def test_what_is_sent_is_received_in_any_reads(texts: list[str], reads: list[int]) -> None:
    codec = Text()
    stream = b"".join(codec.encode(text) for text in texts)
    assert drive(codec, stream, cuts=reads) == texts
    assert held(codec) == 0


@examples
@given(st.binary(max_size=400) | st.text("a\r\n", max_size=100).map(str.encode), cuts, st.integers(0, 30))
def test_any_bytes_give_the_same_in_any_reads_and_are_never_held_over_the_limit(
    data: bytes, reads: list[int], limit: int
) -> None:
    whole, cut = Text(max_message_size=limit), Text(max_message_size=limit)
    messages: list[Message] = []
    position = 0
    for stop in [*sorted(reads), len(data)]:
        messages += feed(cut, data[position:stop])
        position = max(position, stop)
        assert held(cut) <= limit + 1
    assert messages == feed(whole, data)
    assert str(cut.ending) == str(whole.ending)

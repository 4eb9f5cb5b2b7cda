"""What clients speak besides WebSocket, and lines and answers within the cluster: each found in any reads."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from tests.fuzz.source import Source, reads
from tests.fuzz.target import Target
from tests.protocols.support import feed, held
from tidegate.client.answer_reader import AnswerReader
from tidegate.cluster.lines import LineReader
from tidegate.protocols import Codec, Frame, Message, Raw, Text

__all__ = ["TARGETS"]

LIMITS = (1000, 0, 1, 5, 100)
ENCODINGS = (None, "utf-8", "gbk", "utf-16", "utf-16-le", "latin-1", "ascii", "shift_jis", "gb18030", "big5")


def drive(make: Callable[[], Codec], stream: bytes, sizes: bytes, limit: int) -> tuple[Codec, list[Message]]:
    """Feed a stream whole, and in reads: they bring the same."""
    whole, cut = make(), make()
    messages = feed(whole, stream)
    in_reads: list[Message] = []
    for read in reads(stream, sizes):
        in_reads += feed(cut, read)
        assert held(cut) <= limit + 4
    assert in_reads == messages
    assert (whole.ending and whole.ending.code) == (cut.ending and cut.ending.code)
    assert whole.ending is None or held(whole) == held(cut) == 0
    return whole, messages


def run_text(data: bytes) -> None:
    """Lines are what is between the line ends."""
    source = Source(data)
    limit, encoding, sizes = source.choose(LIMITS), source.choose(ENCODINGS), source.sizes()
    stream = source.rest()
    codec, messages = drive(lambda: Text(limit, encoding), stream, sizes, limit)
    lines = [line.removesuffix(b"\r") for line in stream.split(b"\n")[:-1]]
    if codec.ending is None:
        assert len(messages) == len(lines)
    for line, message in zip(lines, messages, strict=False):
        assert len(line) <= limit
        assert message == line or message == line.decode(encoding or "utf-8")


def run_frame(data: bytes) -> None:
    """Bodies are what the lengths say."""
    source = Source(data)
    limit, sizes = source.choose(LIMITS), source.sizes()
    stream = source.rest()
    codec, messages = drive(lambda: Frame(limit), stream, sizes, limit)
    sent = b"".join(map(codec.encode, messages))
    assert stream.startswith(sent)
    if codec.ending is None:
        rest = stream[len(sent) :]
        assert len(rest) < 4 or len(rest) < int.from_bytes(rest[:4]) <= limit + 4


def run_raw(data: bytes) -> None:
    """Every byte is given, once and in its order; text in one read is text."""
    source = Source(data)
    encoding, sizes = source.choose(ENCODINGS), source.sizes()
    stream = source.rest()
    codec = Raw(encoding)
    given: list[Message] = []
    for read in reads(stream, sizes):
        given += feed(codec, read)
    if encoding is None:
        assert b"".join(message for message in given if isinstance(message, bytes)) == stream
    elif all(isinstance(message, str) for message in given):
        decoder = codecs.getincrementaldecoder(encoding)()
        assert "".join(map(str, given)) == decoder.decode(stream)


def run_lines(data: bytes) -> None:
    """Register's lines."""
    source = Source(data)
    sizes = source.sizes()
    stream = source.rest()
    reader = LineReader()
    lines = [line for read in reads(stream, sizes) for line in reader.feed(read)]
    assert lines == [line.removesuffix(b"\r") for line in stream.split(b"\n")[:-1]]
    assert reader.error is None


def run_answers(data: bytes) -> None:
    """A gateway's answers, as a push client finds them."""
    source = Source(data)
    limit, sizes = source.choose((1000, 3, 100)), source.sizes()
    stream = source.rest()
    whole, cut = AnswerReader(limit), AnswerReader(limit)
    answers = whole.feed(stream)
    assert [answer for read in reads(stream, sizes) for answer in cut.feed(read)] == answers
    assert (whole.error is None) == (cut.error is None)
    assert whole.is_between_answers == cut.is_between_answers
    packed = b"".join(len(answer).to_bytes(4) + answer for answer in answers)
    assert stream.startswith(packed)
    if whole.error is None:
        assert whole.is_between_answers == (stream == packed)


def text_seeds() -> Iterator[bytes]:
    for stream in (
        b"hello\nworld\r\n\n",
        "世界\n".encode("gbk"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"a" * 120 + b"\n",
    ):
        for encoding in range(3):
            yield b"\0%c\0\0\0" % encoding + stream
            yield b"\2%c\1\2\3" % encoding + stream


def length_seeds() -> Iterator[bytes]:
    for bodies in ((b"hello", b"", b"x" * 300), (b"a",) * 20):
        yield b"\0\0\0\0" + b"".join((len(body) + 4).to_bytes(4) + body for body in bodies)
        yield b"\0\1\2\3" + b"".join(len(body).to_bytes(4) + body for body in bodies)
    yield b"\1\0\0\0\0\0\0\3"
    yield b"\0\0\0\0\xff\xff\xff\xff"


TARGETS = (
    Target("text", run_text, text_seeds),
    Target("frame", run_frame, length_seeds),
    Target("raw", run_raw, lambda: [b"\0\1\2\0", b"\1\1\2\3" + "世界é".encode(), b"\2\1\1\1" + "世界".encode("gbk")]),
    Target("register-stream", run_lines, lambda: [b"\0\0\0{}\n{}\r\n", b"\1\2\3\n\n\r\na"]),
    Target("answer-stream", run_answers, length_seeds),
)

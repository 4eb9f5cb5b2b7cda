"""The request that opens a WebSocket connection, on its way from a client to a worker's handler."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.source import Source, reads
from tests.fuzz.target import Target
from tests.protocols.support import KEY, feed, held, request
from tidegate.business.handshake import read_handshake
from tidegate.gateway.request import request_body
from tidegate.protocols import Handshake, WebSocket
from tidegate.protocols.deflate import negotiate
from tidegate.protocols.handshake import MAX_REQUEST_SIZE

__all__ = ["TARGETS"]

LIMIT = 200


def run(data: bytes) -> None:
    """A request is taken or refused, the same in any reads; a handler sees what the client wrote."""
    source = Source(data)
    sizes, has_frames = source.sizes(), source.is_true()
    stream = source.rest() + (b"\x81\x82maskab" if has_frames else b"")
    whole, cut = make(), make()
    feed(whole, stream)
    for read in reads(stream, sizes):
        feed(cut, read)
        assert held(cut) <= MAX_REQUEST_SIZE + LIMIT + 256
    assert (whole.ending is None) == (cut.ending is None)
    assert (whole.handshake is None) == (cut.handshake is None)
    if whole.ending is not None:
        assert whole.ending.reply.startswith(b"HTTP/1.1 4")
        assert b"\r\n\r\n" in whole.ending.reply
    if whole.handshake is None or cut.handshake is None:
        return
    assert whole.handshake == cut.handshake
    carry(whole.handshake)
    assert whole.accept() == cut.accept()
    answer = whole.take_output()
    assert answer == cut.take_output()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.count(b"\r\n\r\n") == 1  # nothing that the client wrote begins a line of its own


def make() -> WebSocket:
    return WebSocket(LIMIT, compression=True, subprotocols=("chat", "json"))


def carry(handshake: Handshake) -> None:
    """See what becomes of it in a worker, where texts are UTF-8 if they can be."""
    read = read_handshake(request_body(handshake, 1, 2), "127.0.0.1")
    assert read.target == text(handshake.target)
    if handshake.target.isascii():
        assert (read.path, read.query) == (handshake.path, handshake.query)
    assert read.headers.keys() >= {name.replace("_", "-") for name in handshake.headers}
    for name, value in handshake.headers.items():
        if "_" not in name and name.replace("-", "_") not in handshake.headers:
            assert read.headers[name] == text(value)


def text(latin: str) -> str:
    raw = latin.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return latin


def seeds() -> Iterator[bytes]:
    more = ("Cookie: sid=1; lang=zh", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    for line in ("GET /chat?token=abc&room=%E7%9B%B4&a[]=1 HTTP/1.1", "GET / HTTP/1.1", "GET http://a/b?c=d HTTP/1.1"):
        yield b"\0\0\0\0" + request(line=line)
        yield b"\7\1\x40\1" + request(*more, "Sec-WebSocket-Protocol: json, chat", line=line)
    yield b"\0\0\0\0" + request("X-Forwarded-For: 1.2.3.4", "Origin: https://a.example", line="GET /?a=1 HTTP/1.1")
    yield b"\0\0\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"\0\0\0\0POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    yield b"\0\0\0\0" + request(Sec_WebSocket_Key=KEY[:-1])


def run_offers(data: bytes) -> None:
    """Of any offer of compression one is chosen that can be kept, or none."""
    chosen = negotiate(data.decode("latin-1"))
    if chosen is None:
        return
    answer, bits = chosen
    assert 9 <= bits <= 15
    assert negotiate(answer) == chosen


def offers() -> list[bytes]:
    return [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        b'permessage-deflate; server_max_window_bits="8", permessage-deflate; server_no_context_takeover',
        b"x-webkit-deflate-frame, permessage-deflate;client_no_context_takeover",
    ]


TARGETS = (Target("handshake", run, seeds), Target("compression-offers", run_offers, offers))

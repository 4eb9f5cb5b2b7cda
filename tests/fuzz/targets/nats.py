"""What a NATS server says: the stream, headers, parts of long messages, and what of it names members."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.fuzz.source import Source, reads
from tests.fuzz.target import Target
from tidegate.cluster.nats.announced import ID_SIZE, encode_gateway, gateway_key, read_gateways
from tidegate.cluster.nats.headers import encode_headers, parse_headers
from tidegate.cluster.nats.parts import PART, ROOM, Joiner, Splitter
from tidegate.cluster.nats.protocol import Event, Message, Parser
from tidegate.cluster.nats.subjects import address_of_token, address_token, name_token
from tidegate.errors import ProtocolError

__all__ = ["TARGETS"]


def run_stream(data: bytes) -> None:
    """A stream gives the same events in any reads, and ends with one error."""
    source = Source(data)
    sizes, stream = source.sizes(), source.rest()
    whole = Parser()
    expected = whole.feed(stream)
    parser = Parser()
    found: list[Event] = []
    for read in reads(stream, sizes):
        found += parser.feed(read)
    assert found == expected
    assert (parser.error is None) == (whole.error is None)
    assert parser.error is None or parser.feed(b"PING\r\n") == []
    for event in found:
        if isinstance(event, Message):
            assert len(event.payload) <= len(stream)


def run_headers(data: bytes) -> None:
    """Headers are read or refused, and those that can be written come back."""
    try:
        headers = parse_headers(data)
    except ProtocolError:
        return
    try:
        written = encode_headers(headers.fields)
    except ValueError:
        return
    assert parse_headers(written).fields == headers.fields


def run_parts(data: bytes) -> None:
    """Parts of a message that come in order make it, whatever else comes between them; what is kept is bounded."""
    source = Source(data)
    limit = ROOM + 1 + source.number()
    joiner = Joiner(4096)
    strange = {PART: source.piece().decode("latin-1")}
    payload = source.rest()
    joined = []
    for fields, part in Splitter("us").split(payload, limit):
        for given in (fields, strange):
            try:
                headers = parse_headers(encode_headers(given)) if given else None
            except ValueError:
                continue
            message = joiner.take(Message("a", "", headers, part, 1), 0.0)
            if message is not None:
                joined.append(message.payload)
        assert joiner.size <= 4096 + len(payload)
    assert joined.count(payload) == 1 or strange[PART].startswith("us ") or not payload


def run_names(data: bytes) -> None:
    """Any name is one token of a subject, no other's; what is no token of an address is a ValueError."""
    token = name_token(data or b"-")
    assert token
    assert not set(token) & set(" .*>\r\n\t")
    text = data.decode("latin-1")
    with contextlib.suppress(ValueError):
        address_of_token(text)
    assert address_of_token(address_token("10.0.0.1:2900")) == "10.0.0.1:2900"


def run_members(data: bytes) -> None:
    """What stands in the bucket is gateways, or no entry."""
    source = Source(data)
    entries = {}
    while not source.is_empty:
        key = source.piece().decode("latin-1")
        entries[key] = source.piece()
    assert len(read_gateways(entries)) <= len(entries)


def streams() -> Iterator[bytes]:
    for sizes in (b"\0\0\0", b"\1\2\5"):
        yield (
            sizes
            + b'INFO {"version":"2.11.4","max_payload":1048576,"connect_urls":["10.0.0.1:4222"]}\r\nPING\r\n+OK\r\n'
        )
        yield sizes + b"MSG a.b 1 5\r\nhello\r\nMSG a.b 1 reply 0\r\n\r\n-ERR 'Unknown Protocol Operation'\r\n"
        yield sizes + b"HMSG a 1 18 20\r\nNATS/1.0\r\nC: d\r\n\r\nhi\r\nHMSG a 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n"


def headers() -> list[bytes]:
    return [b"NATS/1.0\r\n\r\n", b"NATS/1.0 100 Idle Heartbeat\r\nA: b\r\na:c\r\n\r\n", b"NATS/1.0 503\r\n\r\n"]


def members() -> Iterator[bytes]:
    address = "127.0.0.1:2900"
    key, value = gateway_key(address).encode(), bytes(ID_SIZE) + encode_gateway(address, "", "1")
    yield b"%c%s%c%s" % (len(key), key, len(value), value)
    yield b"\1a\2[]"


def names() -> list[bytes]:
    return [
        b"room.1",
        "世界".encode(),
        b"\xff *>",
        b"10-0-0-1-2900",
    ]


TARGETS = (
    Target("nats-stream", run_stream, streams),
    Target("nats-headers", run_headers, headers),
    Target(
        "nats-parts",
        run_parts,
        lambda: [b"\0\0" + bytes(1000), b"\7\x08them 1 0 2" + bytes(range(256)) * 3, b"\1\x08us 1 1 4" + bytes(900)],
    ),
    Target("nats-members", run_members, members),
    Target("nats-names", run_names, names),
)

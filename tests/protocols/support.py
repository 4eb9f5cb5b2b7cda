"""The client's side in bytes, written without the code under test, and ways to feed a codec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import settings
from hypothesis import strategies as st

from tidegate.protocols import Codec, Message, WebSocket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

MASK = b"\x37\xfa\x21\x3d"  # of the examples in RFC 6455 section 5.7

# The example of RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HEADERS = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}

examples = settings(max_examples=150)
"""For property tests: how long an example takes says more about the machine than about the code."""

cuts = st.lists(st.integers(0, 400), max_size=12)
"""Positions at which a stream of bytes is cut into reads."""


def request(*more: str, line: str = "GET /chat HTTP/1.1", **headers: str | None) -> bytes:
    """A handshake.

    Args:
        more: header lines added behind the usual ones.
        line: the request line.
        headers: replace a usual one, with underscores for hyphens; None leaves it out.
    """
    changed = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    lines = [line]
    for name, usual in HEADERS.items():
        value = changed.get(name.lower(), usual)
        if value is not None:
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index & 3] for index, byte in enumerate(payload))


def header(opcode: int, length: int, *, fin: bool = True, rsv: int = 0, form: int = 0, masked: bool = True) -> bytes:
    """A frame's first bytes, up to the mask.

    Args:
        form: bytes of the extended length, 0, 2 or 8, where it is not to be the shortest that holds the length.
    """
    first = bytes([0x80 * fin | rsv | opcode])
    bit = 0x80 * masked
    if form == 8 or length > 65535:
        return first + bytes([bit | 127]) + length.to_bytes(8, "big")
    if form == 2 or length > 125:
        return first + bytes([bit | 126]) + length.to_bytes(2, "big")
    return first + bytes([bit | length])


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, form: int = 0, mask: bytes = MASK
) -> bytes:
    """A frame as a client sends it."""
    return header(opcode, len(payload), fin=fin, rsv=rsv, form=form) + mask + apply_mask(payload, mask)


def fragments(opcode: int, *payloads: bytes, rsv: int = 0) -> bytes:
    """A message in as many frames as there are payloads."""
    last = len(payloads) - 1
    return b"".join(
        frame(CONTINUATION if index else opcode, payload, fin=index == last, rsv=0 if index else rsv)
        for index, payload in enumerate(payloads)
    )


def reads(data: bytes, size: int | None = None, cuts: Iterable[int] = ()) -> Iterator[bytes]:
    """Cut a stream into reads of a size, or at positions."""
    if size is not None:
        cuts = range(size, len(data), size)
    start = 0
    for position in sorted(cuts):
        if start < position < len(data):
            yield data[start:position]
            start = position
    if data:
        yield data[start:]


def feed(codec: Codec, read: bytes) -> list[Message]:
    """Feed one read from a buffer that is lent for the call only, as a carrier's is."""
    lent = bytearray(read)
    with memoryview(lent) as view:
        messages = codec.feed(view)
    lent[:] = b"\xaa" * len(lent)
    lent.clear()  # a BufferError, where the codec kept a view of it
    return messages


def drive(codec: Codec, data: bytes, size: int | None = None, cuts: Iterable[int] = ()) -> list[Message]:
    """Feed a stream, accepting the handshake when there is one."""
    messages: list[Message] = []
    for read in reads(data, size, cuts):
        messages += feed(codec, read)
        if codec.handshake is not None:
            messages += codec.accept()
    return messages


def opened(*more: str, max_message_size: int = 1024 * 1024, compression: bool = False) -> WebSocket:
    """A WebSocket connection behind its handshake, with the answer taken."""
    codec = WebSocket(max_message_size, compression=compression)
    assert drive(codec, request(*more)) == []
    assert codec.ready
    codec.take_output()
    return codec


def unshaken() -> WebSocket:
    """A WebSocket connection that is past its handshake without having had one, to make ten thousands of."""
    codec = WebSocket()
    codec.ready = True
    return codec


def assert_fails(codec: Codec, code: int) -> None:
    """See that a WebSocket connection was failed, with a close frame that says so."""
    assert codec.ending is not None
    assert codec.ending.code == code
    assert codec.ending.error is not None
    assert codec.ending.error.code == code
    assert codec.ending.reply[:1] == b"\x88"
    assert codec.ending.reply[2:4] == code.to_bytes(2, "big")
    assert codec.ending.reply[4:].decode() == codec.ending.reason
    assert held(codec) == 0


def held(thing: object) -> int:
    """Bytes of the peer's that an object keeps, however deep."""
    if isinstance(thing, bytes | bytearray):
        return len(thing)
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    return sum(held(getattr(thing, name, None)) for name in slots if name not in ("output", "ending", "handshake"))

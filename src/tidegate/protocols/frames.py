"""WebSocket frames as bytes: what is sent, and the tables that judge what is received (RFC 6455 section 5)."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.errors import ProtocolError
from tidegate.speedups import compiled

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "FIN",
    "MAX_CONTROL_PAYLOAD",
    "PING",
    "PONG",
    "RSV1",
    "TEXT",
    "body_frame",
    "body_frame_in_python",
    "body_frames",
    "body_frames_in_python",
    "close_frame",
    "make_frame",
    "make_frame_in_python",
    "parse_close",
    "rotate",
    "sendable_code",
]

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

MAX_CONTROL_PAYLOAD = 125  # section 5.5

# Codes that may stand in a close frame: those that section 7.4.1 and the IANA registry define for it, and the two
# ranges of section 7.4.2 that are open to libraries and applications.
DEFINED_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def make_frame_in_python(first: int, payload: str | bytes) -> bytes:
    """A frame as a server sends it, without a mask (section 5.2).

    Args:
        first: FIN, reserved bits and opcode.
        payload: `str` leaves as UTF-8.
    """
    if isinstance(payload, str):
        payload = payload.encode()
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return bytes((first, 126, length >> 8, length & 255)) + payload
    return bytes((first, 127)) + length.to_bytes(8) + payload


def body_frame_in_python(body: bytes) -> bytes:
    """A frame of a message whose kind nobody has said: text where it is UTF-8, else binary."""
    opcode = TEXT
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            opcode = BINARY
    return make_frame_in_python(FIN | opcode, body)


def body_frames_in_python(bodies: list[bytes]) -> list[bytes]:
    """Those of several."""
    return [body_frame_in_python(body) for body in bodies]


make_frame: Callable[[int, str | bytes], bytes] = make_frame_in_python if compiled is None else compiled.make_frame
body_frame: Callable[[bytes], bytes] = body_frame_in_python if compiled is None else compiled.body_frame
body_frames: Callable[[list[bytes]], list[bytes]] = body_frames_in_python if compiled is None else compiled.body_frames


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to what fits (section 5.5.1). Code 1005 stands for a frame without one."""
    if code == 1005:
        return make_frame(FIN | CLOSE, b"")
    text = reason.encode()[: MAX_CONTROL_PAYLOAD - 2].decode(errors="ignore").encode()
    return make_frame(FIN | CLOSE, code.to_bytes(2) + text)


def sendable_code(code: int) -> bool:
    """Whether a code may stand in a close frame (section 7.4)."""
    return code in DEFINED_CODES or 3000 <= code <= 4999


def parse_close(payload: bytes) -> tuple[int, str]:
    """A close frame's code, 1005 where there is none, and its reason.

    Raises:
        ProtocolError: with 1002 for a code that may not be sent, with 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return 1005, ""
    if len(payload) == 1:
        raise ProtocolError("a close frame with one byte")
    code = int.from_bytes(payload[:2])
    if not sendable_code(code):
        raise ProtocolError(f"close code {code} may not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError("the reason of a close frame is not UTF-8", 1007) from None


def rotate(mask: bytes, count: int) -> bytes:
    """The mask for what follows `count` bytes of a payload (section 5.3)."""
    shift = count & 3
    return mask[shift:] + mask[:shift]

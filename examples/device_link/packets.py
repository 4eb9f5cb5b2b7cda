"""A protocol of the example's own: binary packets, as a small device might speak them.

It is a class with `feed` and `encode`, which Tidegate uses at the door, and the simulated device at the other end. Both
translate: handlers get and send the same JSON texts as with devices that speak frames.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from tidegate.errors import ProtocolError

__all__ = ["MAX_PAYLOAD", "Kind", "Packets"]

HEADER = struct.Struct("!2sBBHI")
MAGIC = b"TD"
VERSION = 1
MAX_PAYLOAD = 256  # bytes
TOKEN_SIZE = 32


class Kind(IntEnum):
    """What a packet is; in the JSON text its `type`, in small letters."""

    LOGIN = 1
    WELCOME = 2
    SWITCH = 3
    STATE = 4
    BEAT = 5
    ERROR = 6


class Packets:
    """One connection's packets. Numbers are big-endian.

    | offset | bytes | field                                                                |
    |--------|-------|----------------------------------------------------------------------|
    | 0      | 2     | magic, the letters TD                                                |
    | 2      | 1     | version, 1                                                           |
    | 3      | 1     | kind of packet                                                       |
    | 4      | 2     | bytes of payload, up to 256                                          |
    | 6      | 4     | CRC-32 (zlib's) of the 6 bytes before it, and of the payload         |
    | 10     |       | payload                                                              |

    | kind                      | payload                                  | JSON text               |
    |---------------------------|------------------------------------------|-------------------------|
    | 1 login                   | token, 32 bytes, and the device's name   | device, token (64 hex)  |
    | 2 welcome, 3 switch, 4 state | a byte, 0 for off and 1 for on        | on: true or false       |
    | 5 beat                    | none                                     |                         |
    | 6 error                   | UTF-8                                    | message                 |

    Args:
        max_payload: bytes; over it a peer has made a mistake.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_payload = max_payload
        self._held = bytearray()  # of a packet that has not come as a whole: what one may have, at most

    def feed(self, data: bytes) -> Iterator[str]:
        """Give what a read brought: whole messages, however the bytes were split.

        Raises:
            ProtocolError: at the first mistake, and then the connection is closed: where the next packet would begin
                nobody knows.
        """
        held = self._held
        held += data
        while len(held) >= HEADER.size:
            magic, version, kind, length, checksum = HEADER.unpack_from(held)
            if magic != MAGIC:
                raise ProtocolError(f"a packet begins with {MAGIC!r}, not with {magic!r}")
            if version != VERSION:
                raise ProtocolError(f"packets have version {VERSION} here, not {version}")
            if length > self._max_payload:
                raise ProtocolError(f"a payload of {length} bytes, over the {self._max_payload} that it may have", 1009)
            end = HEADER.size + length
            if len(held) < end:
                return
            payload = bytes(held[HEADER.size : end])
            if checksum != checksum_of(kind, payload):
                raise ProtocolError(f"a packet of {end} bytes whose checksum is wrong")
            del held[:end]
            yield json.dumps(read(kind, payload))

    def encode(self, message: str) -> bytes:
        """The packet of a message."""
        kind, payload = write(json.loads(message))
        return HEADER.pack(MAGIC, VERSION, kind, len(payload), checksum_of(kind, payload)) + payload


def checksum_of(kind: int, payload: bytes) -> int:
    # All of the header but the checksum itself is under it too, a length that was changed on the way as well.
    return zlib.crc32(payload, zlib.crc32(HEADER.pack(MAGIC, VERSION, kind, len(payload), 0)[:6]))


def read(kind: int, payload: bytes) -> dict[str, Any]:
    match kind:
        case Kind.LOGIN if len(payload) > TOKEN_SIZE:
            name = payload[TOKEN_SIZE:].decode(errors="replace")
            return {"type": "login", "device": name, "token": payload[:TOKEN_SIZE].hex()}
        case Kind.WELCOME | Kind.SWITCH | Kind.STATE if payload in (b"\0", b"\1"):
            return {"type": Kind(kind).name.lower(), "on": payload == b"\1"}
        case Kind.BEAT if not payload:
            return {"type": "beat"}
        case Kind.ERROR:
            return {"type": "error", "message": payload.decode(errors="replace")}
    raise ProtocolError(f"a packet of kind {kind} does not have a payload of {len(payload)} bytes like this one")


def write(fields: dict[str, Any]) -> tuple[Kind, bytes]:
    match fields:
        case {"type": "login", "device": str(name), "token": str(token)}:
            return Kind.LOGIN, bytes.fromhex(token) + name.encode()
        case {"type": "welcome" | "switch" | "state" as kind, "on": bool(on)}:
            return Kind[kind.upper()], bytes((on,))
        case {"type": "beat"}:
            return Kind.BEAT, b""
        case {"type": "error", "message": str(text)}:
            return Kind.ERROR, text.encode()[:MAX_PAYLOAD]
    raise ValueError(f"there is no packet for {fields}")

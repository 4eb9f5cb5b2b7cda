"""permessage-deflate (RFC 7692), always without context takeover on either side.

An idle connection then keeps no compressor and no window, and what a broadcast compresses to is the same for every
client with the same window.
"""

from __future__ import annotations

import zlib

from tidegate.errors import ProtocolError

__all__ = ["MIN_SIZE", "Inflater", "deflate", "negotiate"]

NAME = "permessage-deflate"
MAX_WINDOW_BITS = 15
MIN_WINDOW_BITS = 9  # zlib has no raw deflate with a window of 8 bits
MIN_SIZE = 64
"""Bytes under which compressing a message costs more than it saves."""
TAIL = b"\x00\x00\xff\xff"  # the end of an empty stored block, which the wire leaves out (RFC 7692 section 7.2.1)
MAX_RESTARTS = 16
"""Final blocks in a message. A peer has reason for one; each takes only two bytes to send and a new stream to read."""

KNOWN = {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits"}


def negotiate(header: str) -> tuple[str, int] | None:
    """Choose among the offers of a Sec-WebSocket-Extensions header (RFC 7692 section 5.1).

    Returns:
        The extension as the answer names it and the bits of the server's window, or None where no offer fits.
    """
    for offer in header.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name != NAME:
            continue
        bits = _window_bits(parameters)
        if bits is not None:
            answer = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
            return (answer if bits == MAX_WINDOW_BITS else f"{answer}; server_max_window_bits={bits}"), bits
    return None


def _window_bits(parameters: list[str]) -> int | None:
    """The server's window under an offer's parameters; None where the offer is to be declined."""
    seen: set[str] = set()
    bits = MAX_WINDOW_BITS
    for parameter in parameters:
        name, equals, value = (part.strip() for part in parameter.partition("="))
        value = value.strip('"')
        if name not in KNOWN or name in seen:
            return None
        seen.add(name)
        if name.endswith("_max_window_bits"):
            given = bool(equals)
            if not given and name == "client_max_window_bits":
                continue
            if value not in ("8", "9", "10", "11", "12", "13", "14", "15"):
                return None
            if name == "server_max_window_bits":
                bits = int(value)
        elif equals:
            return None
    return bits if bits >= MIN_WINDOW_BITS else None


def deflate(payload: bytes, window_bits: int) -> bytes:
    """Compress a message (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -window_bits)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]


class Inflater:
    """Decompresses one message as its bytes arrive, and stops at a limit (RFC 7692 section 7.2.2).

    Lives as long as its message does.
    """

    __slots__ = ("_restarts", "_stream")

    def __init__(self) -> None:
        self._restarts = 0
        self._stream = zlib.decompressobj(-MAX_WINDOW_BITS)

    def feed(self, data: bytes, room: int) -> bytes:
        """Give what the bytes decompress to.

        Raises:
            ProtocolError: with 1009 past `room` bytes, with 1007 for what is not deflate.
        """
        output = b""
        while data:
            try:
                output += self._stream.decompress(data, room + 1 - len(output))
            except zlib.error as error:
                raise ProtocolError(f"the message does not decompress: {error}", 1007) from error
            if len(output) > room:
                raise ProtocolError("the message decompresses to more than is allowed", 1009)
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                # A final block does not end the message (RFC 7692 section 7.2.3.4): another stream may follow.
                self._restarts += 1
                if self._restarts > MAX_RESTARTS:
                    raise ProtocolError("too many final blocks in a compressed message", 1007)
                data = self._stream.unused_data
                self._stream = zlib.decompressobj(-MAX_WINDOW_BITS)
        return output

    def finish(self, room: int) -> bytes:
        """Give the rest, at the message's end."""
        return self.feed(TAIL, room)

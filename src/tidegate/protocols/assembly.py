"""A WebSocket message that is still arriving: fragments, or one frame in several reads."""

from __future__ import annotations

import codecs

from tidegate.errors import ProtocolError
from tidegate.protocols.base import Message
from tidegate.protocols.deflate import Inflater
from tidegate.protocols.frames import TEXT

__all__ = ["Assembly", "not_utf8"]


MANY, SMALL = 1_000, 16
"""Fragments of a message, over which they must have so many bytes on average: each is a step of ours, and of those that
have nothing in them there would never be too many."""


def not_utf8() -> ProtocolError:
    return ProtocolError("a text message that is not UTF-8", 1007)


class Assembly:
    """Collects a message's payload, and fails as early as it can be known that it is wrong.

    Lives from a message's first incomplete frame to its last byte, so an idle connection has none. The limit is on
    bytes after decompression.
    """

    __slots__ = (
        "_data",
        "_frames",
        "_inflater",
        "_limit",
        "_received",
        "_text",
        "_unfinished",
        "final",
        "mask",
        "remaining",
    )

    def __init__(self, opcode: int, compressed: bool, limit: int) -> None:
        self._text = opcode == TEXT
        self._inflater = Inflater() if compressed else None
        self._limit = limit
        self._data = bytearray()
        self._unfinished = b""  # the beginning of a character whose rest has not come
        self._frames = self._received = 0  # and bytes in them, as they came
        self.remaining = 0  # bytes of the frame under way that have not come
        self.mask = b""  # of those
        self.final = False  # that frame is the message's last

    def expect(self, length: int) -> None:
        """See that a frame's payload of that length may still be taken.

        Raises:
            ProtocolError: with 1009 where it may not, with 1008 where too many have come that are too small.
        """
        self._frames += 1
        self._received += length
        if self._frames > MANY and self._received < self._frames * SMALL:
            raise ProtocolError(f"a message in over {MANY} fragments of less than {SMALL} bytes", 1008)
        if self._inflater is None and len(self._data) + length > self._limit:
            raise ProtocolError(f"message over {self._limit} bytes", 1009)
        self.remaining = length

    def add(self, payload: bytes) -> None:
        """Take unmasked payload.

        Raises:
            ProtocolError: with 1007 for what is not UTF-8 or does not decompress, with 1009 over the limit.
        """
        if self._inflater is not None:
            payload = self._inflater.feed(payload, self._limit - len(self._data))
        self._append(payload, final=False)

    def finish(self) -> Message:
        """Give the message, once its last frame is complete."""
        rest = b"" if self._inflater is None else self._inflater.finish(self._limit - len(self._data))
        self._append(rest, final=True)
        return self._data.decode() if self._text else bytes(self._data)

    def _append(self, payload: bytes, final: bool) -> None:
        if self._text:
            checked = self._unfinished + payload
            try:
                _, consumed = codecs.utf_8_decode(checked, "strict", final)
            except UnicodeDecodeError:
                raise not_utf8() from None
            self._unfinished = checked[consumed:]
            # Python's decoder waits for the third byte of a surrogate, which its second has already ruled out.
            if len(self._unfinished) == 2 and b"\xed\xa0" <= self._unfinished <= b"\xed\xbf":
                raise not_utf8()
        self._data += payload

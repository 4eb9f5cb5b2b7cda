"""No protocol: bytes as they come."""

from __future__ import annotations

import codecs

from tidegate.protocols.base import Codec, Message

__all__ = ["Raw"]


class Raw(Codec):
    """A message is whatever one read brought: `bytes`, or `str` with an `encoding`.

    With an encoding, a character that is split over two reads is given whole with the second; a read that is no text
    in it is given as `bytes`.
    """

    __slots__ = ("_decoder", "_encoding")

    def __init__(self, encoding: str | None = None) -> None:
        self._encoding = encoding or "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding else None

    def feed(self, data: memoryview) -> list[Message]:
        received = bytes(data)
        decoder = self._decoder
        if decoder is None:
            return [received]
        held = decoder.getstate()[0]
        try:
            text = decoder.decode(received)
        except UnicodeError:
            decoder.reset()
            return [held + received]
        return [text] if text else []

    def encode(self, message: Message) -> bytes:
        return message.encode(self._encoding) if isinstance(message, str) else message

"""Lines of text, ended by ``\\n`` or ``\\r\\n``."""

from __future__ import annotations

import re

from tidegate.errors import ProtocolError
from tidegate.protocols.base import (
    DEFAULT_MAX_MESSAGE_SIZE,
    Codec,
    Ending,
    Message,
    ended_by,
    make_text,
    too_big,
)

__all__ = ["Text"]

# A browser can be made to post lines to any port of its visitor's own machine, but not without this one first.
HTTP_REQUEST_LINE = re.compile(rb"[A-Za-z]+ +\S.* HTTP/\d")


class Text(Codec):
    """A message is a line: `str`, or `bytes` where it is no text in `encoding`.

    Args:
        max_message_size: bytes in a line, its end not counted.
        encoding: of the lines, in both directions.
    """

    __slots__ = ("_encoding", "_limit", "_partial", "_text", "ending")

    def __init__(self, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE, encoding: str | None = None) -> None:
        self._limit = max_message_size
        self._encoding = encoding or "utf-8"
        self._text = make_text(self._encoding)
        self._partial: bytearray | None = None
        self.ending: Ending | None = None

    def feed(self, data: memoryview) -> list[Message]:
        if self.ending is not None:
            return []
        lines = bytes(data).split(b"\n")
        rest = lines.pop()
        if lines and self._partial is not None:
            lines[0] = bytes(self._partial) + lines[0]
            self._partial = None
        messages: list[Message] = []
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]
            if len(line) > self._limit:
                self.ending = too_big(self._limit)
                break
            if b" HTTP/" in line and HTTP_REQUEST_LINE.match(line):
                self.ending = ended_by(ProtocolError("a line that looks like an HTTP request", 1008))
                break
            messages.append(self._text(line))
        if self.ending is not None:
            self._partial = None
        elif rest:
            self._keep(rest)
        return messages

    def _keep(self, rest: bytes) -> None:
        held = self._partial
        # The last byte may be one more than a line may have, where it is the \r before a \n still to come.
        if (len(held) if held else 0) + len(rest) - rest.endswith(b"\r") > self._limit:
            self._partial = None
            self.ending = too_big(self._limit)
        elif held is None:
            self._partial = bytearray(rest)
        else:
            held += rest

    def encode(self, message: Message) -> bytes:
        if isinstance(message, str):
            return message.encode(self._encoding) + b"\n"
        return b"%b\n" % message

"""Frames of a 4-byte big-endian length, which counts itself, and a body."""

from __future__ import annotations

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

__all__ = ["Frame"]

HEADER = 4


class Frame(Codec):
    """A message is a frame's body: `bytes`, or `str` with an `encoding`.

    Args:
        max_message_size: bytes in a body.
        encoding: of messages, where they are text.
    """

    __slots__ = ("_buffer", "_encoding", "_limit", "_text", "_total", "ending")

    def __init__(self, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE, encoding: str | None = None) -> None:
        self._limit = max_message_size
        self._encoding = encoding or "utf-8"
        self._text = make_text(encoding)
        self._buffer: bytearray | None = None
        self._total = 0  # length of the frame that the buffer begins with; 0 while that is not known
        self.ending: Ending | None = None

    def feed(self, data: memoryview) -> list[Message]:
        messages: list[Message] = []
        position, end = 0, len(data)
        while position < end and self.ending is None:
            if self._buffer is None and end - position >= HEADER:
                total = self._measure(data[position : position + HEADER])
                if not total:
                    break
                if end - position >= total:
                    messages.append(self._text(bytes(data[position + HEADER : position + total])))
                    position += total
                    continue
            position += self._fill(data[position:], messages)
        return messages

    def _measure(self, header: memoryview | bytearray) -> int:
        """Read a frame's length; 0, and an ending, where it is not allowed."""
        total = int.from_bytes(header[:HEADER])
        if total < HEADER:
            self.ending = ended_by(ProtocolError(f"a frame's length is {total}, less than its own {HEADER} bytes"))
        elif total - HEADER > self._limit:
            self.ending = too_big(self._limit)
        else:
            return total
        return 0

    def _fill(self, data: memoryview, messages: list[Message]) -> int:
        """Copy what belongs to the frame under way, and give how many bytes that was."""
        if self._buffer is None:
            self._buffer = bytearray()
        buffer = self._buffer
        taken = min(len(data), (self._total or HEADER) - len(buffer))
        buffer += data[:taken]
        if len(buffer) == HEADER and not self._total:
            self._total = self._measure(buffer)
        if len(buffer) == self._total:
            messages.append(self._text(bytes(memoryview(buffer)[HEADER:])))
        if len(buffer) == self._total or self.ending is not None:
            self._buffer = None
            self._total = 0
        return taken

    def encode(self, message: Message) -> bytes:
        body = message.encode(self._encoding) if isinstance(message, str) else message
        return (len(body) + HEADER).to_bytes(HEADER) + body

"""Finds lines in a stream, bounded. What they say is the wire protocol's affair."""

from __future__ import annotations

from tidegate.errors import ProtocolError

__all__ = ["MAX_LINE_SIZE", "LineReader"]

MAX_LINE_SIZE = 1024 * 1024
"""Bytes; room for some 40,000 gateways."""


class LineReader:
    """Finds lines.

    Attributes:
        error: set once the stream can't be read any further; what came before it was given.
    """

    __slots__ = ("_pending", "error")

    def __init__(self) -> None:
        self._pending = bytearray()
        self.error: ProtocolError | None = None

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take bytes in; gives the lines that are complete with them, without their ends."""
        if self.error is not None:
            return []
        seen = len(self._pending)
        self._pending += data
        if self._pending.find(b"\n", seen) < 0:
            self._check(len(self._pending))
            return []
        *ended, rest = bytes(self._pending).split(b"\n")
        self._pending = bytearray(rest)
        lines: list[bytes] = []
        for line in ended:
            if not self._check(len(line)):
                return lines
            lines.append(line.removesuffix(b"\r"))
        self._check(len(rest))
        return lines

    def _check(self, size: int) -> bool:
        if size <= MAX_LINE_SIZE:
            return True
        self.error = ProtocolError(f"a line over {MAX_LINE_SIZE} bytes")
        self._pending = bytearray()
        return False

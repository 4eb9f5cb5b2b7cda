"""Finds the answers in what a gateway sends to a push client: a 4-byte length, then a serialized value."""

from __future__ import annotations

from tidegate.errors import ProtocolError

__all__ = ["MAX_ANSWER_SIZE", "AnswerReader"]

LENGTH_SIZE = 4
MAX_ANSWER_SIZE = 256 * 1024 * 1024
"""Bytes; the sessions of 100,000 clients with 2 KB each fit in."""


class AnswerReader:
    """Finds answers.

    Attributes:
        error: set once the stream can't be read any further; what came before it was given.
    """

    __slots__ = ("_limit", "_needed", "_pending", "error")

    def __init__(self, limit: int = MAX_ANSWER_SIZE) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._needed = LENGTH_SIZE  # bytes that there have to be before it is worth looking
        self.error: ProtocolError | None = None

    @property
    def is_between_answers(self) -> bool:
        """Whether nothing of a further answer has come."""
        return not self._pending and self.error is None

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in; gives the answers that are complete with them."""
        if self.error is not None:
            return []
        self._pending += data
        if len(self._pending) < self._needed:
            return []
        answers: list[bytes] = []
        start, end = 0, len(self._pending)
        needed = LENGTH_SIZE
        while end - start >= LENGTH_SIZE:
            size = int.from_bytes(self._pending[start : start + LENGTH_SIZE], "big")
            if size > self._limit:
                self.error = ProtocolError(f"an answer of {size} bytes, over the limit of {self._limit}")
                self._pending = bytearray()
                return answers
            stop = start + LENGTH_SIZE + size
            if stop > end:
                needed = LENGTH_SIZE + size
                break
            answers.append(bytes(self._pending[start + LENGTH_SIZE : stop]))
            start = stop
        del self._pending[:start]
        self._needed = needed
        return answers

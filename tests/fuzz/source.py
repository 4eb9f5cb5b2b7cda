"""What a target makes of a fuzzer's bytes: its choices first, then the stream that it feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

__all__ = ["Source", "reads"]

T = TypeVar("T")


class Source:
    """Bytes that are used up from the front; where there are none left they are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes, or those that are left."""
        start = self._at
        self._at = min(start + count, len(self._data))
        return self._data[start : self._at]

    def rest(self) -> bytes:
        """All that are left."""
        return self.take(len(self._data))

    def number(self, limit: int = 256) -> int:
        """A number under a limit, which is 256 at most."""
        return (self.take(1) or b"\0")[0] % limit

    def choose(self, values: Sequence[T]) -> T:
        """One of some."""
        return values[self.number(len(values))]

    def is_true(self) -> bool:
        """Yes or no."""
        return bool(self.number(2))

    def piece(self) -> bytes:
        """A few bytes, whose number comes before them."""
        return self.take(self.number())

    def sizes(self) -> bytes:
        """Of the reads in which a stream is to come."""
        return self.take(3)


def reads(data: bytes, sizes: bytes) -> Iterator[bytes]:
    """Cut a stream into reads of these sizes, again and again; 0 is a read of all the rest."""
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else 0
        yield data[at : at + size] if size else data[at:]
        at += size or len(data)
        turn += 1

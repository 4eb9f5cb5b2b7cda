"""Pushes of which a gateway gets several copies, since it listens to several of the subjects that they went to."""

from __future__ import annotations

__all__ = ["Copies"]

MAX_SENDERS = 10_000


class Copies:
    """Tells the first copy of a push from the others, without I/O.

    A sender publishes all copies of a push in a row, and what it publishes arrives in that order: it is enough to
    remember which push of each sender came last.

    Attributes:
        skipped: copies that were not the first.
    """

    __slots__ = ("_last", "skipped")

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}  # by sender; who was heard last is last
        self.skipped = 0

    def is_first(self, sender: bytes, number: int) -> bool:
        """Whether a push has not come yet."""
        if self._last.pop(sender, None) == number:
            self._last[sender] = number
            self.skipped += 1
            return False
        self._last[sender] = number
        if len(self._last) > MAX_SENDERS:
            del self._last[next(iter(self._last))]
        return True

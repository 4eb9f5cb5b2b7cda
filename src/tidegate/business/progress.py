"""Which of a link's events were started and finished, for PROGRESS (wire protocol, "Extensions"), without I/O."""

from __future__ import annotations

from tidegate.wire import commands
from tidegate.wire.packet import pack
from tidegate.wire.progress import pack_numbers, pack_progress

__all__ = ["Progress", "Untold"]


class Progress:
    """One link's; its events have the numbers 1, 2, 3 … in the order in which they came.

    Most start in that order, which has to cost next to nothing; those that do not are named in the next report, with
    all that were started since the last one.

    Attributes:
        finished: how many.
    """

    __slots__ = ("_ahead", "_names", "_reported", "_told", "finished", "low")

    def __init__(self) -> None:
        self.low = 0  # all events up to this one were started
        self.finished = 0
        self._ahead: set[int] = set()  # those started beyond the first that was not
        self._names: list[int] = []
        self._reported = 0  # `low` at the last report
        self._told = (0, 0)

    @property
    def started(self) -> int:
        """How many."""
        return self.low + len(self._ahead)

    def start(self, number: int, count: int = 1) -> None:
        """An event is begun, or so many with the numbers that follow."""
        if number == self.low + 1 and not self._names and not self._ahead:
            self.low += count
            return
        if not self._names:
            self._names.extend(range(self._reported + 1, self.low + 1))
        numbers = range(number, number + count)
        self._names.extend(numbers)
        self._ahead.update(numbers)
        while self.low + 1 in self._ahead:
            self.low += 1
            self._ahead.discard(self.low)

    def report(self) -> bytes:
        """The packet that tells what is new; empty where nothing is."""
        now = (self.started, self.finished)
        if now == self._told:
            return b""
        names, self._names = self._names, []
        self._told, self._reported = now, self.low
        return pack(commands.PROGRESS, 0, pack_numbers(names) if names else b"", pack_progress(*now))


class Untold:
    """In its place, for a gateway that is not told."""

    __slots__ = ("finished",)

    def __init__(self) -> None:
        self.finished = 0

    def start(self, number: int, count: int = 1) -> None:
        """An event is begun, or several."""

    def report(self) -> bytes:
        """There is nothing to tell."""
        return b""

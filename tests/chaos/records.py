"""What a run has seen: each connection's numbers, as they came, and what was sent. No I/O, and no judgement of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Connection", "Numbers", "Stream"]


@dataclass(slots=True)
class Numbers:
    """Of one stream, as one receiver saw them: they have to rise.

    Attributes:
        first, last: 0 where none has come.
        gaps: those between them that have not come.
        late: those that came behind a later one.
        twice: those that came again.
    """

    first: int = 0
    last: int = 0
    count: int = 0
    gaps: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)
    twice: list[int] = field(default_factory=list)

    def came(self, number: int) -> None:
        """One has."""
        if number <= self.last:
            self._came_late(number)
        elif self.last:
            self.gaps.update(range(self.last + 1, number))
        else:
            self.first = number
        self.last = max(self.last, number)
        self.count += 1

    def _came_late(self, number: int) -> None:
        is_new = number in self.gaps or (number < self.first and number not in self.late)
        self.gaps.discard(number)
        if is_new:
            self.late.add(number)
        else:
            self.twice.append(number)
            self.count -= 1

    def missing(self, begin: int, end: int) -> set[int]:
        """Which of these have not come, both ends included."""
        if not self.last:
            return set(range(begin, end + 1))
        gaps = {number for number in self.gaps if begin <= number <= end}
        before = range(begin, min(self.first, end + 1))
        return gaps.union(before, range(max(self.last + 1, begin), end + 1)) - self.late


@dataclass(slots=True)
class Stream:
    """Messages that one sender numbers: 1, 2, 3 …

    Attributes:
        sent: the last number.
        doubtful: numbers of which the sender was told that they may not have arrived.
    """

    sent: int = 0
    doubtful: set[int] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Connection:
    """One connection of a client's.

    Attributes:
        name: of the client, and which of its connections it is: also of the stream that it sends to the room.
        client_id: once the app has said it.
        known_at: seconds, when it did.
        index: of the gateway process.
        began: seconds.
        end: how it was; empty while it is there.
        sent: numbers of its messages: 1, 2, 3 … to this.
        answers: numbers answered.
        published: those of its messages that were for the room, by their number in its stream.
        base: from which number on it has to get a stream's messages, those that existed when it was taken; None until
            it was.
        base_at: when it was taken.
        streams: what came of each.
    """

    name: str
    began: float
    client_id: str = ""
    known_at: float = 0.0
    index: int = -1
    end: str = ""
    sent: int = 0
    answers: Numbers = field(default_factory=Numbers)
    published: dict[int, int] = field(default_factory=dict)
    base: Mapping[str, int] | None = None
    base_at: float = 0.0
    streams: dict[str, Numbers] = field(default_factory=dict)

    @property
    def unanswered(self) -> set[int]:
        """Numbers of messages without an answer."""
        return self.answers.missing(1, self.sent)

    @property
    def lost_before_last(self) -> set[int]:
        """Those of them behind which others were answered: what its own end has not taken."""
        return self.answers.missing(1, self.answers.last)

    def heard(self, stream: str, number: int) -> None:
        """A message of a stream has come."""
        numbers = self.streams.get(stream)
        if numbers is None:
            numbers = self.streams[stream] = Numbers()
        numbers.came(number)

    def answered(self, number: int) -> None:
        """An answer has come."""
        self.answers.came(number)

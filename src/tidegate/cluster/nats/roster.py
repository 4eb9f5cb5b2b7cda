"""Who is in a bucket, judged by what is heard of the entries, without I/O.

Each owner writes its entry anew about every second. Whoever is not heard of any more is gone, even where the bucket
does not say so; but where nothing at all is heard, it is the bucket that is not there, as while its servers choose a
leader, and nobody is taken for gone.
"""

from __future__ import annotations

from tidegate.cluster.nats.entries import Change

__all__ = ["DEFAULT_SILENCE", "RETURN", "Roster"]

DEFAULT_SILENCE = 4.5
"""Seconds after which an entry counts as gone without a word from the bucket."""
PULSE = 1.5
"""Seconds between two writes, whosesoever, up to which the bucket is known to work."""
GRACE = 1.2
"""Seconds that an entry which expired still has, where the bucket did not work just before: its owner may be there."""
RETURN = 4.0
"""Seconds that it has where the way to the bucket was lost, or the bucket itself: its owner has to find it again."""


class Member:
    """An entry, and when it was heard of."""

    __slots__ = ("heard", "revision", "until", "value")

    def __init__(self, value: bytes, revision: int, heard: float) -> None:
        self.value = value
        self.revision = revision
        self.heard = heard
        self.until: float | None = None  # it is gone, where it is not heard of


class Roster:
    """The entries there are. Times are seconds of any clock that goes on.

    Args:
        silence: seconds.
    """

    __slots__ = ("_last", "_listed", "_lived", "_members", "_patience", "_silence", "_steady_since")

    def __init__(self, silence: float = DEFAULT_SILENCE) -> None:
        self._silence = silence
        self._members: dict[str, Member] = {}
        self._listed: set[str] | None = None  # keys of a list that is coming
        self._patience = 0.0
        self._lived = 0.0  # seconds in which the bucket was known to work
        self._last = float("-inf")  # when anything was written
        self._steady_since = float("-inf")

    @property
    def values(self) -> dict[str, bytes]:
        """By key."""
        return {key: member.value for key, member in self._members.items()}

    def begin(self, patience: float = 0.0) -> None:
        """All entries are going to be listed, from the first.

        Args:
            patience: until when those that are missing, or have expired, may be heard of again.
        """
        self._listed, self._patience = set(), patience

    def end(self, now: float) -> None:
        """That was all of them: what was not among them may be gone."""
        listed, self._listed = self._listed or set(), None
        for key, member in self._members.items():
            if key in listed:
                continue
            member.revision = 0  # whatever comes now is news, also from a bucket that was made anew
            if member.until is None:
                member.until = self._deadline(now)

    def take(self, change: Change, now: float) -> bool:
        """Take a change; gives whether there is now another value, or none."""
        key, value, revision, expired = change
        if self._listed is not None:
            self._listed.add(key)
        member = self._members.get(key)
        if member is not None and revision < member.revision and self._listed is None:
            return False  # what is listed counts in any case: the bucket may have been made anew
        if value is None:
            return self._gone(key, member, revision, expired, now)
        if member is None or revision > member.revision:
            self._beat(now)
        if member is None:
            self._members[key] = Member(value, revision, self._lived)
            return True
        is_new = member.value != value
        member.value, member.heard = value, self._lived
        if revision > member.revision or self._listed is not None:
            member.until = None
        member.revision = revision
        return is_new

    def silent(self, now: float) -> list[str]:
        """Strike who was not heard of for too long; gives their keys."""
        gone = [key for key, member in self._members.items() if self._is_over(member, now)]
        for key in gone:
            del self._members[key]
        return gone

    def _gone(self, key: str, member: Member | None, revision: int, expired: bool, now: float) -> bool:
        if member is None:
            return False
        member.revision = revision
        is_steady = now - self._last <= PULSE and now - self._steady_since >= 2 * PULSE
        if expired and not is_steady:
            member.until = self._deadline(now)
            return False
        del self._members[key]
        return True

    def _deadline(self, now: float) -> float:
        return max(now + GRACE, self._patience)

    def _is_over(self, member: Member, now: float) -> bool:
        if member.until is not None and now > member.until:
            return True
        return self._lived - member.heard > self._silence

    def _beat(self, now: float) -> None:
        if self._listed is not None:  # it was written at any time before
            return
        gap = now - self._last
        if gap > PULSE:
            self._steady_since = now
        self._lived += min(gap, PULSE)
        self._last = now

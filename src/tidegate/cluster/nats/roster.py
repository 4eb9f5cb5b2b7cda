"""Who is there, judged by what is heard of each, without I/O.

Each says about every second that it is there. Whoever is not heard of any more is gone; but where nobody could be heard
all are given time again.
"""

from __future__ import annotations

__all__ = ["DEFAULT_SILENCE", "Roster"]

DEFAULT_SILENCE = 4.25
"""Seconds after which whoever says nothing is gone: more than the second that passes between two words, and what it
takes to notice that one's own server is gone and to go to another."""
GRACE_SECONDS = 1.5
"""At least, after oneself has gone to another server."""
FORGET_SECONDS = 60.0
"""After which nothing lists any more who has fallen silent."""


class Member:
    """One, and when it was heard of."""

    __slots__ = ("heard", "value")

    def __init__(self, value: bytes, heard: float) -> None:
        self.value = value
        self.heard = heard


class Roster:
    """Those there are, by a key of each. Times are seconds of any clock that goes on.

    Args:
        silence: seconds.
    """

    __slots__ = ("_lost", "_members", "_silence")

    def __init__(self, silence: float = DEFAULT_SILENCE) -> None:
        self._silence = silence
        self._members: dict[str, Member] = {}
        self._lost: dict[str, float] = {}  # when who has fallen silent was struck

    @property
    def values(self) -> dict[str, bytes]:
        """What each says, by key."""
        return {key: member.value for key, member in self._members.items()}

    def heard(self, key: str, value: bytes, now: float) -> bool:
        """Somebody is there; gives whether that is new, or what it says."""
        self._lost.pop(key, None)
        member = self._members.get(key)
        if member is None:
            self._members[key] = Member(value, now)
            return True
        member.heard = now
        if member.value == value:
            return False
        member.value = value
        return True

    def listed(self, key: str, value: bytes, now: float) -> bool:
        """Somebody is said to have been there; gives whether that is new.

        Of who is known, or has fallen silent, only its own word counts.
        """
        if key in self._members or key in self._lost:
            return False
        return self.heard(key, value, now)

    def left(self, key: str) -> bool:
        """Somebody says that it goes; gives whether it was there."""
        return self._members.pop(key, None) is not None

    def deaf(self, now: float) -> None:
        """Nobody could be heard until now."""
        for member in self._members.values():
            member.heard = now

    def moved(self, now: float) -> None:
        """Nobody could be heard for a moment, since one's own server was lost and another was there at once."""
        for member in self._members.values():
            member.heard = max(member.heard, now - self._silence + GRACE_SECONDS)

    def silent(self, now: float) -> list[str]:
        """Strike who was not heard of for too long; gives their keys."""
        gone = [key for key, member in self._members.items() if now - member.heard > self._silence]
        for key in gone:
            del self._members[key]
            self._lost[key] = now
        if gone:
            self._lost = {key: since for key, since in self._lost.items() if now - since <= FORGET_SECONDS}
        return gone

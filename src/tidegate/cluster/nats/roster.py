"""Who is there, judged by what is heard of each, without I/O.

Each says about every second that it is there. Whoever is not heard of any more is gone; but where nobody could be heard
all are given their time again.
"""

from __future__ import annotations

__all__ = ["DEFAULT_SILENCE", "Roster"]

DEFAULT_SILENCE = 4.5
"""Seconds after which whoever says nothing is gone: more than one's own connection may be silent before it is lost, and
the second that passes between two words."""


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

    __slots__ = ("_members", "_silence")

    def __init__(self, silence: float = DEFAULT_SILENCE) -> None:
        self._silence = silence
        self._members: dict[str, Member] = {}

    @property
    def values(self) -> dict[str, bytes]:
        """What each says, by key."""
        return {key: member.value for key, member in self._members.items()}

    def heard(self, key: str, value: bytes, now: float) -> bool:
        """Somebody is there; gives whether that is new, or what it says."""
        member = self._members.get(key)
        if member is None:
            self._members[key] = Member(value, now)
            return True
        member.heard = now
        if member.value == value:
            return False
        member.value = value
        return True

    def left(self, key: str) -> bool:
        """Somebody says that it goes; gives whether it was there."""
        return self._members.pop(key, None) is not None

    def deaf(self, now: float) -> None:
        """Nobody could be heard until now."""
        for member in self._members.values():
            member.heard = now

    def silent(self, now: float) -> list[str]:
        """Strike who was not heard of for too long; gives their keys."""
        gone = [key for key, member in self._members.items() if now - member.heard > self._silence]
        for key in gone:
            del self._members[key]
        return gone

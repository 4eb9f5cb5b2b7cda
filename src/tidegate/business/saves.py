"""Saves of one client's session that events on their way here may not show yet, without I/O.

The invariant. A gateway's events and answers come on one link in the order in which they left it, and so do our saves
there. A save has a position on its link, and whatever comes after the answer to a query asked behind it (towards PHP,
which answers elsewhere: some seconds later) left the gateway with it applied: it is confirmed, and what an event says
holds. Until then its keys are laid over the session that an event brings. So a handler never sees a key older than this
worker has saved it, and sees what others changed at once in other keys, and in the same key once the save is confirmed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from tidegate.wire import php

__all__ = ["Saves"]


Saved: TypeAlias = tuple[bytes | None, int, frozenset[bytes | None] | None]
"""One key's last save: its value, serialized, None where the key was deleted; its position; and what the key was in
events that left before the saves, None where that is not looked at."""


class Saves:
    """Those of one client that are not confirmed.

    Args:
        compares: whether a value that the key never had here is taken for somebody else's later one. Towards PHP, where
            positions pass slowly, that is the better guess; towards Tidegate's there is no need to guess.

    Attributes:
        stored: the session as it is here, serialized; None where that is not known.
        array: the same, taken apart.
        plain: the same, decoded, where nothing in it could be changed by whoever holds it; None otherwise.
    """

    __slots__ = ("_compares", "_keys", "_replaced", "_seen", "_seen_at", "array", "plain", "stored")

    def __init__(self, compares: bool = False) -> None:
        self._compares = compares
        self._keys: dict[bytes, Saved] = {}
        self._replaced = 0  # position of the last save of the whole
        self._seen: bytes | None = None  # what an event brought that, with the saves, was `stored`,
        self._seen_at = 0  # and what was confirmed then
        self.stored: bytes | None = None
        self.array: php.Array = {}
        self.plain: dict[Any, Any] | None = None

    def keep(self, stored: bytes, array: php.Array, plain: dict[Any, Any] | None = None) -> None:
        """Say what the session is with the save just noted, so that most events need not be looked at closely."""
        self.plain, self.array, self.stored = plain, array, stored

    def note(self, old: php.Array, new: php.Array, position: int, *, whole: bool = False) -> None:
        """A session was saved.

        Args:
            whole: what others may have changed meanwhile went with it.
        """
        self.stored = None
        keys = {**old, **new}
        if whole:
            self._replaced = position
            keys |= dict.fromkeys(self._keys, b"")
        for key in keys:
            value, was = new.get(key), old.get(key)
            if value == was and not whole:
                continue
            self._keys[key] = (value, position, self._older(key, value, was) if self._compares else None)

    def _older(self, key: bytes, value: bytes | None, was: bytes | None) -> frozenset[bytes | None]:
        known = self._keys.get(key)
        older = (known[2] or frozenset()) | {known[0], was} if known else frozenset((was,))
        return older - {value}

    def resolve(self, stored: bytes, confirmed: int) -> bytes:
        """What a handler is to see of a session that an event brought.

        Args:
            confirmed: the position up to which saves were known to be applied when the event came.
        """
        # What is here shows all saves already; so does what came before and is shown as that.
        known = self.stored
        if known is not None and (stored == known or (stored == self._seen and confirmed == self._seen_at)):
            return known
        for key in [key for key, (_, position, _) in self._keys.items() if position <= confirmed]:
            del self._keys[key]
        if not self._keys and self._replaced <= confirmed:
            return stored
        try:
            shown = _split(stored)
        except php.PHPValueError:
            return stored  # reading it is an error, which is the handler's to see
        session = {} if self._replaced > confirmed else shown
        for key, (value, _, older) in self._keys.items():
            there = shown.get(key)
            if older is not None and there != value and there not in older:
                if there is not None:
                    session[key] = there
            elif value is None:
                session.pop(key, None)
            else:
                session[key] = value
        self._seen, self._seen_at = stored, confirmed
        resolved = php.join_array(session) if session else b""
        self.keep(resolved, session)
        return resolved

    def is_settled(self, confirmed: int) -> bool:
        """Whether all of them are confirmed."""
        return self._replaced <= confirmed and all(position <= confirmed for _, position, _ in self._keys.values())


def _split(session: bytes) -> php.Array:
    return php.split_array(session) if session else {}

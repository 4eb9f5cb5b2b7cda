"""What `flush` needs to know: which connections were used since the last one, and what broke."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from tidegate.errors import ClusterError
from tidegate.wire.commands import IS_ONLINE
from tidegate.wire.packet import pack

__all__ = ["PROBE", "Ledger"]

C = TypeVar("C")

PROBE = pack(IS_ONLINE)
"""The cheapest question; its answer says that all that was sent before has been processed. No client has number 0."""
MAX_BREAKS = 1_000
"""Kept for those who flush late or never; the oldest go first."""


class Ledger(Generic[C]):
    """Of one client's connections; any thread may write in it, at any moment."""

    __slots__ = ("_breaks", "_lock", "_used", "breaks")

    def __init__(self) -> None:
        self._used: dict[C, None] = {}
        self._breaks: deque[tuple[int, ClusterError]] = deque(maxlen=MAX_BREAKS)
        self._lock = threading.RLock()  # re-entered by finalizers, which close connections wherever they run
        self.breaks = 0

    def use(self, connection: C) -> None:
        """Something was written."""
        self._used[connection] = None

    def confirm(self, connection: C) -> None:
        """All that was written has been processed."""
        self._used.pop(connection, None)

    def broke(self, connection: C, error: ClusterError) -> None:
        """It is closed; what was written to it since it was last confirmed may be lost."""
        if self._used.pop(connection, self) is self:
            return
        with self._lock:
            self._breaks.append((self.breaks, error))
            self.breaks += 1

    def used(self) -> list[C]:
        """The connections that a flush has to ask."""
        return list(self._used)

    def breaks_since(self, number: int) -> tuple[list[ClusterError], int]:
        """What broke since there were so many breaks, and how many there are now."""
        with self._lock:
            return [error for at, error in self._breaks if at >= number], self.breaks

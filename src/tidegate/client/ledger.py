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
    """Of one client's connections; any thread may write in it, at any moment.

    Attributes:
        told: of how many breaks anybody has been told.
    """

    __slots__ = ("_breaks", "_count", "_lock", "_used", "told")

    def __init__(self) -> None:
        self._used: dict[C, None] = {}
        self._breaks: deque[tuple[int, ClusterError]] = deque(maxlen=MAX_BREAKS)
        self._lock = threading.RLock()  # re-entered by finalizers, which close connections wherever they run
        self._count = 0
        self.told = 0

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
            self._breaks.append((self._count, error))
            self._count += 1

    def used(self) -> list[C]:
        """The connections that a flush has to ask."""
        return list(self._used)

    def tell(self, since: int) -> tuple[list[ClusterError], int]:
        """What broke since so many breaks were told, and how many are told now."""
        with self._lock:
            self.told = self._count
            return [error for at, error in self._breaks if at >= since], self._count

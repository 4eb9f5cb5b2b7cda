"""What `flush` needs to know: which gateways were sent something since the last one, and which links broke."""

from __future__ import annotations

import itertools
import threading
from collections import deque

from tidegate.errors import ClusterError
from tidegate.wire.commands import IS_ONLINE
from tidegate.wire.packet import pack

__all__ = ["PROBE", "Ledger"]

PROBE = pack(IS_ONLINE)
"""The cheapest question; its answer says that all that was sent before has been processed. No client has number 0."""
MAX_BREAKS = 1_000
"""Kept for those who flush late or never; the oldest go first."""


class Ledger:
    """Of one client's links, one to a gateway; any thread may write in it, at any moment.

    Attributes:
        told: of how many breaks anybody has been told.
    """

    __slots__ = ("_breaks", "_count", "_lock", "_numbers", "_used", "told")

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._breaks: deque[tuple[int, ClusterError]] = deque(maxlen=MAX_BREAKS)
        self._lock = threading.RLock()  # re-entered where a signal's handler pushes
        self._numbers = itertools.count(1)
        self._count = 0
        self.told = 0

    def use(self, address: str) -> int:
        """Something was written to this gateway; gives its number."""
        number = self._used[address] = next(self._numbers)
        return number

    def confirm(self, address: str, number: int) -> None:
        """All that was written up to this number has been processed."""
        if self._used.get(address) == number:
            self._used.pop(address, None)

    def broke(self, address: str, error: ClusterError) -> None:
        """The link is closed; what was written to it since it was last confirmed may be lost."""
        with self._lock:
            if self._used.pop(address, None) is not None:
                self._breaks.append((self._count, error))
                self._count += 1

    def used(self) -> list[str]:
        """The gateways that a flush has to ask."""
        return list(self._used)

    def tell(self, since: int) -> tuple[list[ClusterError], int]:
        """What broke since so many breaks were told, and how many are told now."""
        with self._lock:
            self.told = self._count
            return [error for at, error in self._breaks if at >= since], self._count

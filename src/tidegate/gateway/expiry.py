"""When clients expire: their tokens said so. One sweep of a process looks after all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Expiry"]

C = TypeVar("C")


class Expiry(Generic[C]):
    """The clients that expire, and when, in seconds since 1970.

    It must be good at having tens of thousands of clients of which few are due: they are gone through only once the
    first of them may be.

    Args:
        clock: seconds since 1970.
    """

    __slots__ = ("_clock", "_soonest", "_times")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._times: dict[C, float] = {}
        self._soonest = math.inf  # no client is due before

    def __len__(self) -> int:
        return len(self._times)

    def set(self, client: C, at: float | None) -> None:
        """Note when a client expires, in place of what was noted; None is never."""
        if at is None:
            self._times.pop(client, None)
            return
        self._times[client] = at
        self._soonest = min(self._soonest, at)

    def discard(self, client: C) -> None:
        """A client is gone."""
        self._times.pop(client, None)

    def take_due(self) -> list[C]:
        """Those whose time has come, who are not noted any more."""
        now = self._clock()
        if now < self._soonest:
            return []
        due = [client for client, at in self._times.items() if at <= now]
        for client in due:
            del self._times[client]
        self._soonest = min(self._times.values(), default=math.inf)
        return due

"""What is meant for a gateway to which a link is still to be made: held in its order, for a while, where there is room.

So what a worker sends reaches gateways that have just come, or whose link broke, as well. Without I/O.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from tidegate.errors import ClusterError

__all__ = ["HELD_SECONDS", "Asked", "Backlog", "Held"]

HELD_SECONDS = 3.0
MUCH = 4
"""The part of the limit over which senders who can wait do."""
COMMAND_COST, QUERY_COST = 150, 2500
"""Bytes of memory, about, that one takes besides its packet."""

Asked: TypeAlias = "asyncio.Future[asyncio.Future[bytes]]"
"""Gives the future of an answer, once the query has been sent."""


class Held(NamedTuple):
    """One packet.

    Attributes:
        since: the time at which it was added.
        asked: whether it is a query, and of whom.
    """

    packet: bytes
    since: float
    asked: Asked | None


class Backlog:
    """One gateway's.

    Args:
        limit: bytes.

    Attributes:
        size: of what is held, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._held: deque[Held] = deque()

    @property
    def is_much(self) -> bool:
        """Whether those who can wait should."""
        return self.size > self._limit // MUCH

    def add(self, packet: bytes, asked: Asked | None = None) -> bool:
        """Hold a command, or a query; gives whether there was room."""
        held = Held(packet, time.monotonic(), asked)
        if self.size + _cost(held) > self._limit:
            return False
        self.size += _cost(held)
        self._held.append(held)
        return True

    def take(self) -> Iterator[Held]:
        """All, in their order; without queries for which nobody waits any more."""
        held, self._held, self.size = self._held, deque(), 0
        return (one for one in held if one.asked is None or not one.asked.done())

    def give_up(self, problem: ClusterError, seconds: float = 0.0) -> int:
        """Drop what has been held for so long; gives how many commands that were.

        Args:
            problem: what those are told who ask.
        """
        commands = 0
        latest = time.monotonic() - seconds
        while self._held and self._held[0].since <= latest:
            held = self._held.popleft()
            self.size -= _cost(held)
            if held.asked is None:
                commands += 1
            elif not held.asked.done():
                held.asked.set_exception(problem)
        return commands


def _cost(held: Held) -> int:
    return len(held.packet) + (COMMAND_COST if held.asked is None else QUERY_COST)

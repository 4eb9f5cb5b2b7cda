"""Gateways that a list of Register's names for the first time: a worker greets all of them in one turn.

The first that was greeted would send events at once, and what their handlers send to everybody would have to wait for
the links to the others.
"""

from __future__ import annotations

import asyncio

__all__ = ["Muster"]

SECONDS = 2.0
"""After which those that are connected are greeted without the rest."""


class Muster:
    """Of one list.

    Args:
        count: gateways that it is for.
    """

    def __init__(self, count: int) -> None:
        self._missing = count
        self._is_over = asyncio.Event()
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self._is_over.set)

    def arrive(self) -> None:
        """One is connected, or can't be."""
        self._missing -= 1
        if self._missing <= 0:
            self._timer.cancel()
            self._is_over.set()

    async def wait(self) -> None:
        """Wait for the others."""
        await self._is_over.wait()

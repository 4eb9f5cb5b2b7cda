"""The further addresses of a worker, which its processes open when they serve and close before they stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Protocol

from tidegate.business.running import Running
from tidegate.client.api import AsyncPushAPI
from tidegate.net.tls import TLS
from tidegate.process.member import Member, Stop

__all__ = ["Doors", "Links", "MakeDoor"]

logger = logging.getLogger("tidegate")

POLL_SECONDS = 0.05


class Links:
    """What a door has to know of its worker's links to gateways, to tell the truth about what it has sent."""

    def __init__(self, running: Callable[[], Running]) -> None:
        self._running = running

    @property
    def failed(self) -> int:
        """Commands that could not be sent, since the worker's start."""
        return self._running().dispatcher.counts.failed

    @property
    def addresses(self) -> Collection[str]:
        """The inner addresses of the gateways that there are."""
        return self._running().addresses

    async def settle(self) -> None:
        """Wait until what is held for gateways that can't be reached has been sent, or given up."""
        push = self._running().push
        while push.holds:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


class MakeDoor(Protocol):
    """What makes an HTTP door; it comes from a room that this one does not know."""

    def __call__(self, push: AsyncPushAPI, links: Links, address: str, token: str | None, ssl: TLS | None) -> Member:
        """Make one.

        Args:
            push: carries calls out.
            address: such as ``http://127.0.0.1:8585``.
            token: that requests have to show.
            ssl: as with `Worker`.
        """
        ...


class Doors:
    """One worker's.

    Attributes:
        are_open: or about to be, so that none can be added.
    """

    def __init__(self) -> None:
        self._by_address: dict[str, Member] = {}
        self.are_open = False

    def add(self, address: str, door: Member) -> None:
        """Have one opened, in place of any other of that address."""
        self._by_address[address] = door

    async def open(self) -> None:
        """Open all.

        Raises:
            AddressError: an address can't be had.
        """
        self.are_open = True
        for door in self._by_address.values():
            await door.listen()

    async def close(self, stop: Stop) -> None:
        """Answer what was asked, and close all that are open."""
        for door in self._by_address.values():
            try:
                await door.stop(
                    graceful=stop.graceful,
                    seconds=stop.seconds_left,
                    code=stop.code,
                    reason=stop.reason,
                    reload=stop.reload,
                    whole=stop.whole,
                )
            except Exception:
                logger.exception("closing %s failed", door.name)
        self.are_open = False

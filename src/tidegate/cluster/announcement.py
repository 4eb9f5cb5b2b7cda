"""How a gateway makes itself known: its address stands in each Register for as long as the connection to it does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tidegate.cluster.keeper import Keeper, stop_all
from tidegate.cluster.trust import Trust
from tidegate.wire.register_line import gateway_connect

__all__ = ["Announcement"]


class Announcement:
    """A gateway's address, announced to each Register of its cluster.

    Args:
        registers: as `parse_cluster` gives them.
        address: of the inner port, a dotted quad and the port; it has to listen already.
        secret_key: of the cluster.
        trust: for TLS.
    """

    def __init__(self, registers: Sequence[str], address: str, secret_key: str, trust: Trust | None = None) -> None:
        greeting = gateway_connect(address, secret_key)
        self._keepers = [
            Keeper(register, greeting, self._received, self._changed, trust) for register in dict.fromkeys(registers)
        ]
        self._announced = asyncio.Event()

    @property
    def connected(self) -> int:
        """Registers that have been told."""
        return sum(keeper.is_connected for keeper in self._keepers)

    def start(self) -> None:
        """Announce it, in the running loop, and go on doing so."""
        for keeper in self._keepers:
            keeper.start()

    async def stop(self) -> None:
        """Take it back: leave every Register."""
        await stop_all(self._keepers)

    async def announced(self, seconds: float) -> bool:
        """Wait until at least one Register was told; gives whether one was, in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._announced.wait()
        except TimeoutError:
            return False
        return True

    def _received(self, register: str, message: dict[str, Any]) -> None:
        """A Register has nothing to say to a gateway."""

    def _changed(self) -> None:
        if self.connected:
            self._announced.set()
        else:
            self._announced.clear()

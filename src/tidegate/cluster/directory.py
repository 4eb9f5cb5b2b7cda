"""How a worker knows where the gateways are: it listens to every Register of its cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tidegate.cluster.keeper import Keeper, stop_all
from tidegate.cluster.trust import Trust
from tidegate.wire.register_line import Addresses, read_addresses, worker_connect

__all__ = ["Directory"]


class Directory:
    """The gateways of a cluster.

    Args:
        registers: as `parse_cluster` gives them.
        secret_key: of the cluster.
        changed: is called with the new `addresses` at each difference.
        trust: for TLS.

    Attributes:
        addresses: the union of what the Registers said last. What one named that is down meanwhile stays until it
            answers again, or another one has seen it go.
    """

    def __init__(
        self,
        registers: Sequence[str],
        secret_key: str,
        changed: Callable[[Addresses], None],
        trust: Trust | None = None,
    ) -> None:
        self.addresses = Addresses()
        self._tell = changed
        self._lists: dict[str, Addresses] = {}
        greeting = worker_connect(secret_key)
        self._keepers = [
            Keeper(register, greeting, self._received, lambda: None, trust) for register in dict.fromkeys(registers)
        ]
        self._all_answered = asyncio.Event()

    def start(self) -> None:
        """Begin to listen, in the running loop."""
        for keeper in self._keepers:
            keeper.start()

    async def stop(self) -> None:
        """Listen no more."""
        await stop_all(self._keepers)

    async def known(self, seconds: float) -> bool:
        """Wait until every Register has answered, or the time is over; gives whether at least one has."""
        try:
            async with asyncio.timeout(seconds):
                await self._all_answered.wait()
        except TimeoutError:
            return bool(self._lists)
        return True

    def _received(self, register: str, message: dict[str, Any]) -> None:
        before = self._lists.get(register, Addresses())
        self._lists[register] = read_addresses(message)
        self._forget({*before.all}.difference(self._lists[register].all))
        if len(self._lists) == len(self._keepers):
            self._all_answered.set()
        addresses = self._union()
        if addresses != self.addresses:
            self.addresses = addresses
            self._tell(addresses)

    def _forget(self, gone: set[str]) -> None:
        """Strike gateways that one Register has seen go from the lists of those that are down, and can't see it."""
        if not gone:
            return
        for keeper in self._keepers:
            old = self._lists.get(keeper.register)
            if old is not None and not keeper.is_connected:
                left = tuple(address for address in old.all if address not in gone)
                self._lists[keeper.register] = Addresses(left, old.tidegate - gone)

    def _union(self) -> Addresses:
        """In the order of the Registers, whichever answered first."""
        lists = [self._lists[keeper.register] for keeper in self._keepers if keeper.register in self._lists]
        every = dict.fromkeys(address for found in lists for address in found.all)
        return Addresses(tuple(every), frozenset().union(*(found.tidegate for found in lists)))

"""What an `AsyncGatewayClient` does where its cluster is on NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TypeVar

from tidegate.client.call import Call
from tidegate.client.nats.carrier import NatsCarrier
from tidegate.client.nats.routing import route, stranger
from tidegate.cluster.nats.url import NatsPlace
from tidegate.wire.packet import DEFAULT_MAX_PACKET_SIZE

__all__ = ["NatsPush"]

T = TypeVar("T")

LIMIT = 16 * 1024 * 1024
"""Bytes that may wait to leave."""


class NatsPush:
    """Calls in a loop, in the order in which they are begun; it connects at once.

    Args:
        connect_timeout: seconds for NATS to be there.
        timeout: seconds for answers.
    """

    def __init__(self, place: NatsPlace, connect_timeout: float, timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._carrier = NatsCarrier(
            place, name="tidegate push client", limit=LIMIT, max_packet_size=DEFAULT_MAX_PACKET_SIZE
        )
        self._carrier.start()
        self._entrance = asyncio.Lock()
        self._waiting = 0
        self._is_known = False

    async def act(self, call: Call[None]) -> None:
        """Carry a command.

        Raises:
            ClusterError: NATS is not there, or nobody knows of the gateway that it is about.
        """
        await self._enter()
        carrier = self._carrier
        if call.address is not None and call.address not in carrier.members.gateways:
            raise stranger(call.address)
        for copies in route(call, carrier.subjects, carrier.max_packet_size):
            carrier.push(copies)
        await carrier.ready(self._connect_timeout)
        if carrier.is_full:
            await carrier.has_room()

    async def ask(self, call: Call[T]) -> T:
        """Carry a query.

        Raises:
            ClusterError: it was not answered in full.
        """
        await self._enter()
        return await self._carrier.ask(call, self._timeout)

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: some of it may be lost.
        """
        await self._enter()
        await self._carrier.flush(self._timeout)

    async def addresses(self) -> Collection[str]:
        """The gateways that there are."""
        await self._enter()
        return self._carrier.members.gateways

    async def close(self) -> None:
        """Hang up when what was sent has left."""
        await self._carrier.stop()

    async def _enter(self) -> None:
        """Wait until the gateways are known; one after the other."""
        if self._is_known and not self._waiting:
            return
        self._waiting += 1
        try:
            async with self._entrance:
                if not self._is_known:
                    await self._carrier.known(self._connect_timeout)
                    self._is_known = True
        finally:
            self._waiting -= 1

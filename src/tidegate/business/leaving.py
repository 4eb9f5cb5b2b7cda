"""How a worker leaves its gateways: it takes no new events, ends what it has, and gives its clients to others.

Wire protocol, DRAIN and RELEASE. Where they are not known, as with PHP, it stops reading and ends what it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from tidegate.business.dispatcher import Dispatcher
from tidegate.business.gateways import Gateways
from tidegate.business.keeper import Keeper
from tidegate.business.remote import RemoteGateway

__all__ = ["hang_up", "leave"]

logger = logging.getLogger("tidegate")

POLL_SECONDS = 0.005


class Sender(Protocol):
    """Who sends what handlers send."""

    async def carried_out(self, *, apart_from: RemoteGateway) -> None:
        """Wait until the other gateways have processed all that was sent before."""


async def leave(gateways: Gateways, sender: Sender, dispatcher: Dispatcher, deadline: float) -> None:
    """Come to an end with every gateway, or to the deadline; then no handler runs or begins any more."""
    parting = [asyncio.create_task(_part(keeper, sender, dispatcher)) for keeper in gateways.keepers]
    if parting:
        await asyncio.wait(parting, timeout=max(0.0, deadline - time.monotonic()))
    for task in parting:
        task.cancel()
    await asyncio.gather(*parting, return_exceptions=True)
    count = dispatcher.runner.cancel() + (dispatcher.pool.stop() if dispatcher.pool is not None else 0)
    if count:
        logger.warning("%s: %d handlers were not given the time to end", dispatcher.name, count)
    tasks = dispatcher.runner.tasks
    if tasks:
        await asyncio.wait(tasks, timeout=max(POLL_SECONDS, deadline - time.monotonic()))


async def _part(keeper: Keeper, sender: Sender, dispatcher: Dispatcher) -> None:
    gateway = keeper.gateway
    if gateway.link is not None and not gateway.link.is_tidegate:
        gateway.stop_taking()
        while dispatcher.pending:  # noqa: ASYNC110 - it happens once
            await asyncio.sleep(POLL_SECONDS)
        return
    if gateway.link is not None:
        gateway.drain()
        await gateway.drained.wait()
    if gateway.link is not None:
        gateway.release_free()
    is_buried = False
    while True:  # each client goes when its handler has ended
        if gateway.link is None and not is_buried:
            is_buried = True
            keeper.bury()
        if released := gateway.take_released():
            # What their events sent to other gateways is there before another worker sends more of the same client's.
            await sender.carried_out(apart_from=gateway)
            gateway.send_released(released)
        elif not gateway.clients:
            return
        else:
            await asyncio.sleep(POLL_SECONDS)


async def hang_up(gateways: Gateways, deadline: float) -> None:
    """Close the links behind all that was sent on them."""
    linked = [gateway for gateway in gateways.all if gateway.link is not None]
    ends = [asyncio.create_task(_end(gateway)) for gateway in linked]
    if ends:
        await asyncio.wait(ends, timeout=max(0.0, deadline - time.monotonic()))
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)
    await gateways.stop()


async def _end(gateway: RemoteGateway) -> None:
    link = gateway.link
    if link is not None:
        link.end()
        await gateway.lost.wait()

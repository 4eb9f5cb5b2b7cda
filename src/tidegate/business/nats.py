"""A worker whose cluster is on NATS: what it sends and asks goes there, and its links are to the gateways of its zone.

Events, and what belongs to them, keep their links: PROGRESS, DRAIN, RELEASE, and sessions that are saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Collection, Generator, Sequence
from importlib.metadata import version
from typing import Any, TypeVar

from tidegate.business.dispatcher import Dispatcher
from tidegate.business.gateways import Gateways
from tidegate.business.handover import Handover
from tidegate.business.link import ANSWER_SECONDS
from tidegate.business.remote import RemoteGateway
from tidegate.client.call import Call
from tidegate.client.nats.carrier import NatsCarrier
from tidegate.client.nats.routing import ALL_OURS, Copies, route
from tidegate.cluster.nats.announced import encode_worker, worker_key
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.lease import Lease
from tidegate.cluster.nats.url import NatsPlace
from tidegate.errors import ClusterError, ConfigurationError
from tidegate.process.settings import BusinessSettings
from tidegate.wire.register_line import Addresses

__all__ = ["NatsPush"]

logger = logging.getLogger("tidegate")

T = TypeVar("T")

RETRY_SECONDS = 1.0
LEAVE_SECONDS = 2.0
"""For gateways to say that they have what a worker sent that leaves."""
READS_SESSIONS = {"get_session", "get_all_client_sessions", "get_client_sessions_by_group"}


class NatsPush:
    """One worker's. Awaiting it waits while too much waits to leave.

    Args:
        key: of this process, by which gateways know it.
        gateways: those that it links to.
    """

    def __init__(
        self,
        place: NatsPlace,
        key: str,
        settings: BusinessSettings,
        gateways: Gateways,
        dispatcher: Dispatcher,
        handover: Handover,
    ) -> None:
        self._gateways = gateways
        self._dispatcher = dispatcher
        self._handover = handover
        self._zone = settings.zone
        self.carrier = NatsCarrier(
            place,
            name=f"tidegate worker {key}",
            limit=settings.send_to_gateway_limit,
            max_packet_size=settings.max_packet_size,
            changed=self._changed,
            lost=self._lose,
        )
        self._bucket = Bucket(self.carrier.client, self.carrier.subjects.bucket)
        says = encode_worker(dispatcher.name, settings.zone, version("tidegate"))
        self._lease = Lease(self._bucket, worker_key(key), says)
        self._announcing: asyncio.Task[None] | None = None

    # Who is there

    def start(self) -> None:
        """Begin to connect, in the running loop."""
        self.carrier.start()

    async def known(self, seconds: float) -> bool:
        """Wait until the gateways are known; gives whether they are, in time.

        Raises:
            ConfigurationError: NATS can't do what is needed.
        """
        self._announcing = asyncio.get_running_loop().create_task(self._announce())
        try:
            await self.carrier.known(seconds)
        except ClusterError:
            return False
        return True

    async def _announce(self) -> None:
        """Say that this worker is there, for whoever looks; nothing depends on it."""
        reported = ""
        while not self._lease.is_held:
            try:
                await self.carrier.client.connected(ANSWER_SECONDS)
                await self._bucket.open()
                await self._lease.take()
            except (ClusterError, ConfigurationError) as error:
                if str(error) != reported:
                    reported = str(error)
                    logger.info("%s: not known on NATS yet: %s", self._dispatcher.name, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def stop(self) -> None:
        """Look for gateways no more, and be named no more."""
        if self._announcing is not None:
            self._announcing.cancel()
        await self._lease.give_back()
        await self.carrier.members.stop()

    async def close(self) -> None:
        """Hang up when what was sent has left."""
        await self.stop()
        await self.carrier.stop()

    def _changed(self) -> None:
        every = self.carrier.members.gateways.values()
        near = tuple(entry.address for entry in every if entry.zone == self._zone)
        self._gateways.listed(Addresses(near, frozenset(near)))

    @property
    def addresses(self) -> Collection[str]:
        """The gateways of all zones."""
        return self.carrier.members.gateways

    # Calls

    def act(self, call: Call[None]) -> Awaitable[None]:
        """Send what a command says, from any thread; gives what waits while too much is queued."""
        carrier = self.carrier
        if call.address is None:
            pushes = route(call, carrier.subjects, carrier.max_packet_size)
            self._handover.call_here(self._push, call.name, pushes)
            return self
        gateway = self._gateways.get(call.address)
        for address, packet in call.packets(Addresses((), ALL_OURS), carrier.max_packet_size):
            if gateway is not None:
                gateway.send(packet)
            else:
                self._handover.call_here(self.tell, address, packet)
        return self

    def _push(self, name: str, pushes: Sequence[Copies]) -> None:
        if pushes and not self.addresses:
            self._lose(len(pushes), f"{name}: no gateway is known yet")
        for copies in pushes:
            self.carrier.push(copies)

    def tell(self, address: str, packet: bytes) -> None:
        """Send a command about a client of a gateway's; in the loop's thread."""
        if address in self.carrier.members.gateways or self._is_beginning(address):
            self.carrier.tell(address, packet)
        else:
            self._lose(1, f"nobody knows of a gateway {address}")

    def _is_beginning(self, address: str) -> bool:
        """Whether a gateway has a link before it is known: it keeps what comes until it may carry it out."""
        gateway = self._gateways.get(address)
        return gateway is not None and gateway.link is not None and gateway.link.is_new

    def _lose(self, count: int, reason: str) -> None:
        self._dispatcher.counts.failed += count
        self._dispatcher.throttle.log(
            logging.WARNING, "%s: %d commands reach nobody: %s", self._dispatcher.name, count, reason
        )

    def __await__(self) -> Generator[Any, Any, None]:
        return self.carrier.has_room().__await__()

    async def ask(self, call: Call[T]) -> T:
        """Ask what a query says.

        Raises:
            ClusterError: a gateway does not answer; the others have been asked.
        """
        if call.name in READS_SESSIONS:
            await self._gateways.saved()
        return await self.carrier.ask(call, ANSWER_SECONDS)

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: some of it was lost, or may be.
        """
        await self._gateways.saved()
        await self.carrier.flush(ANSWER_SECONDS)

    async def carried_out(self, *, apart_from: RemoteGateway) -> None:  # noqa: ARG002
        """Wait until the gateways have processed all that was sent before, as far as they can be asked; all of them,
        since what is sent there goes other ways than their links."""
        with contextlib.suppress(ClusterError):
            await self.carrier.carried_out(LEAVE_SECONDS)

    @property
    def holds(self) -> bool:
        """Whether anything waits for NATS to be there."""
        return self.carrier.holds

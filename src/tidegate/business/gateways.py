"""All gateways that a worker knows of: calls of the push API find their way, and what they answer is gathered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, TypeVar

from tidegate.business.dispatcher import Dispatcher
from tidegate.business.keeper import Keeper
from tidegate.business.link import MARKER
from tidegate.business.muster import Muster
from tidegate.business.remote import RemoteGateway
from tidegate.client.call import Call
from tidegate.cluster.reasons import one_error
from tidegate.errors import ClusterError
from tidegate.wire import commands
from tidegate.wire.packet import pack
from tidegate.wire.register_line import Addresses

__all__ = ["Gateways", "greeting"]

T = TypeVar("T")

Asked = Sequence[tuple[str, asyncio.Future[bytes] | ClusterError]]


class Gateways:
    """One worker's. Awaiting it waits while too much is queued for any of them.

    Args:
        make_gateway: makes one of its address.
        max_packet_size: bytes.

    Attributes:
        greeting: the first packet on each link.
        addresses: where they are: those that Register names, and those that are linked besides.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        make_gateway: Callable[[str], RemoteGateway],
        max_packet_size: int,
    ) -> None:
        self.addresses = Addresses()
        self.greeting = b""
        self._listed = Addresses()
        self._dispatcher = dispatcher
        self._make_gateway = make_gateway
        self._max_packet_size = max_packet_size
        self._keepers: dict[str, Keeper] = {}
        self._is_held = False

    # Who is there

    @property
    def all(self) -> list[RemoteGateway]:
        """Every one that is known."""
        return [keeper.gateway for keeper in self._keepers.values()]

    @property
    def keepers(self) -> list[Keeper]:
        """Who keeps the links."""
        return list(self._keepers.values())

    def get(self, address: str) -> RemoteGateway | None:
        """The one of an address."""
        keeper = self._keepers.get(address)
        return keeper.gateway if keeper is not None else None

    def listed(self, addresses: Addresses) -> None:
        """Register names these now."""
        if self._is_held:
            return
        self._listed = addresses
        for address in addresses.all:
            if address not in self._keepers:
                gateway = self._make_gateway(address)
                self._keepers[address] = Keeper(gateway, self._dispatcher, self.greeting, self._look_around)
        for address, keeper in self._keepers.items():
            gateway = keeper.gateway
            is_back = address in addresses.all and not gateway.is_listed
            gateway.register(address in addresses.all, address in addresses.tidegate)
            if is_back:
                keeper.hurry()
        beginning = [keeper for keeper in self.keepers if keeper.gateway.is_listed and not keeper.is_at_work]
        if beginning:
            muster = Muster(len(beginning))
            for keeper in beginning:
                keeper.start(muster)
        self._look_around()

    def _look_around(self) -> None:
        """See who is there now."""
        every = dict.fromkeys(self._listed.all)
        every.update((gateway.address, None) for gateway in self.all if gateway.link is not None)
        ours = frozenset(gateway.address for gateway in self.all if gateway.is_tidegate)
        self.addresses = Addresses(tuple(every), ours.intersection(every))

    async def linked(self, seconds: float) -> bool:
        """Wait until there is a link to each, or the time is over; gives whether there is."""
        try:
            async with asyncio.timeout(seconds):
                for gateway in self.all:
                    await gateway.greeted.wait()
        except TimeoutError:
            return False
        return True

    # Calls

    def act(self, call: Call[None]) -> Awaitable[None]:
        """Send what a command says, from any thread; gives what waits while too much is queued."""
        packets = call.packets(self.addresses, self._max_packet_size)
        if not packets and call.needs_addresses and not self.addresses.all:
            self._lose(call.name, "no gateway is known yet")
        gateway: RemoteGateway | None = None
        for address, packet in packets:
            gateway = self.get(address)
            if gateway is None:
                self._lose(call.name, f"nobody knows of a gateway {address}")
            else:
                gateway.send(packet)
        return gateway if gateway is not None and len(packets) == 1 else self

    def _lose(self, name: str, reason: str) -> None:
        self._dispatcher.counts.failed += 1
        self._dispatcher.throttle.log(logging.WARNING, "%s: %s reaches nobody: %s", self._dispatcher.name, name, reason)

    def __await__(self) -> Generator[Any, Any, None]:
        for gateway in self.all:
            yield from gateway.__await__()

    async def ask(self, call: Call[T]) -> T:
        """Ask what a query says.

        Raises:
            ClusterError: a gateway can't be asked or does not answer; the others have been asked.
        """
        packets = call.packets(self.addresses, self._max_packet_size)
        if not packets and call.needs_addresses and not self.addresses.all:
            raise ClusterError(f"{call.name} can't be asked: no gateway is known yet")
        answers = await _gather([(address, self._ask_at(address, packet)) for address, packet in packets])
        return call.merge(answers)

    def _ask_at(self, address: str, packet: bytes) -> asyncio.Future[bytes] | ClusterError:
        gateway = self.get(address)
        if gateway is None:
            return ClusterError(f"gateway {address} can't be asked: Register names none of that address")
        try:
            return gateway.ask(packet)
        except ClusterError as error:
            return error

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before, also what is held for a link.

        Raises:
            ClusterError: a link used since the last flush broke, or something was lost since.
        """
        problems: list[ClusterError] = []
        try:
            await _gather(
                [(gateway.address, self._ask_at(gateway.address, MARKER)) for gateway in self.all if gateway.is_used]
            )
        except ClusterError as error:
            problems.append(error)
        broken = ", ".join(gateway.address for gateway in self.all if gateway.take_broken())
        if broken:
            reason = f"the link to gateway {broken} broke since the last flush; some of what was sent may be lost"
            problems.append(ClusterError(reason))
        if problems:
            raise one_error(problems)

    async def carried_out(self, *, apart_from: RemoteGateway) -> None:
        """Wait until the others have processed all that was sent before, as far as they can be asked."""
        others = [gateway for gateway in self.all if gateway is not apart_from and gateway.link is not None]
        with contextlib.suppress(ClusterError):
            await _gather([(one.address, self._ask_at(one.address, MARKER)) for one in others if one.is_tidegate])

    async def saved(self) -> None:
        """Wait until the sessions that were saved are at the gateways, as far as they can be asked."""
        saving = [gateway for gateway in self.all if gateway.link is not None and gateway.link.is_saving]
        with contextlib.suppress(ClusterError):
            await _gather([(gateway.address, self._ask_at(gateway.address, MARKER)) for gateway in saving])

    @property
    def holds(self) -> bool:
        """Whether anything waits for a link to be made."""
        return any(gateway.link is None and gateway.is_used for gateway in self.all)

    # Time, and the end

    def sweep(self) -> None:
        """Once a second."""
        self._dispatcher.throttle.flush()
        for address, keeper in tuple(self._keepers.items()):
            keeper.sweep()
            if keeper.is_idle:
                del self._keepers[address]

    def regulate(self) -> None:
        """Read on from those that wait for it."""
        for gateway in self.all:
            gateway.regulate()

    def hold(self) -> None:
        """Make no more links; those that there are stay."""
        self._is_held = True
        for keeper in self._keepers.values():
            keeper.hold()

    async def stop(self) -> None:
        """End all links at once."""
        self.hold()
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers.values()))


async def _gather(asked: Asked) -> list[tuple[str, bytes]]:
    """The answers, once all have come; an error where one has not."""
    answers: list[tuple[str, bytes]] = []
    problems: list[ClusterError] = []
    try:
        for address, future in asked:
            if isinstance(future, ClusterError):
                problems.append(future)
                continue
            try:
                answers.append((address, await future))
            except ClusterError as error:
                problems.append(error)
    finally:
        for _, future in asked:
            if isinstance(future, asyncio.Future):
                future.cancel()  # where the caller waits no more
    if problems:
        raise one_error(problems)
    return answers


def greeting(key: str, secret_key: str, wanted: Sequence[str] | None) -> bytes:
    """The first packet on a link, WORKER_CONNECT.

    Args:
        key: by which this process is known again.
        wanted: names of the events that are to be sent; None for all.
    """
    says: dict[str, Any] = {"worker_key": key, "secret_key": secret_key, "tidegate": 1}
    if wanted is not None:
        says["events"] = list(wanted)
    return pack(commands.WORKER_CONNECT, body=json.dumps(says, separators=(",", ":")).encode())

"""A gateway as a worker knows it: the link to it, its clients, and what happens when the link ends.

It is there for as long as its clients are, over several links; connecting is done by `Gateways`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any

from tidegate.business.asking import Asking
from tidegate.business.backlog import HELD_SECONDS, Asked, Backlog
from tidegate.business.client import Client
from tidegate.business.dispatcher import Dispatcher
from tidegate.business.handover import Handover
from tidegate.business.link import ANSWER_SECONDS, GatewayLink, says
from tidegate.business.sessions import Sessions
from tidegate.client import failures
from tidegate.cluster.place import split_place
from tidegate.errors import ClusterError
from tidegate.wire import commands
from tidegate.wire.client_id import pack_ip
from tidegate.wire.commands import BINARY, EVENT_NAMES, IPV6, PATCH_SESSION, SET_SESSION, UPDATE_SESSION
from tidegate.wire.packet import Packet, pack
from tidegate.wire.progress import pack_released
from tidegate.wire.runs import Run

if TYPE_CHECKING:
    from tidegate.business.nats import NatsPush

__all__ = ["RemoteGateway"]

logger = logging.getLogger("tidegate")

MOST = 4
"""How many times a limit may be passed before nothing more is taken: events while a query waits for its answer behind
them, bytes to send while nobody waits for room."""
RELEASED_A_PACKET = 50_000
ON_THE_LINK = {SET_SESSION, UPDATE_SESSION, PATCH_SESSION}
"""Commands that take the link where others go over NATS: events show what they have done."""


class RemoteGateway:
    """One gateway. Awaiting it waits while more than the limit is queued for it.

    Args:
        address: ``host:port`` of its inner port.
        asking: asks it where it is of PHP.
        limit: bytes that may be queued for it.
        max_packet_size: bytes.
        nats: what commands go to, where the cluster is there.

    Attributes:
        clients: those of its that are known here, by connection id.
        link: None while there is none.
        has_left: the last link ended because the gateway stops, with all of its clients.
        error: that broke the last link; None where the gateway hung up.
        binary_flag: what marks a binary body; 0 where it would not be understood.
        is_listed: Register names it.
        is_awaited: where there is no link, one is going to be made: what is sent and asked is held for it.
        is_frozen: what waits of events is not begun: the link is gone, and the gateway may have given them to others.
        is_releasing: its clients go to other workers as they become free.
        sessions: of its clients, on their way there.
    """

    def __init__(
        self,
        address: str,
        dispatcher: Dispatcher,
        handover: Handover,
        asking: Asking,
        limit: int,
        max_packet_size: int,
        nats: NatsPush | None = None,
    ) -> None:
        self.address = address
        host, self.port = split_place(address)
        self.ip = pack_ip(host)
        self.limit = limit
        self.max_packet_size = max_packet_size
        self.clients: dict[int, Client] = {}
        self.link: GatewayLink | None = None
        self.direct: GatewayLink | None = None  # the same, where commands leave on it
        self._nats = nats
        self.has_left = False
        self.error: Exception | None = None
        self.binary_flag = 0
        self.is_listed = True
        self.is_listed_tidegate = False
        self.is_awaited = True
        self.is_frozen = False
        self.is_releasing = False
        self.greeted = asyncio.Event()
        self.drained = asyncio.Event()
        self.lost = asyncio.Event()
        self._has_room = asyncio.Event()
        self._asking = asking
        self.trust = asking.trust
        self._dispatcher = dispatcher
        self.counts = dispatcher.counts
        self._handover = handover
        self.thread = handover.thread
        self.sessions = Sessions(self)
        self._backlog = Backlog(limit)
        self._released: list[int] = []
        self._is_broken = False
        self._is_closed_to_events = False

    @property
    def is_tidegate(self) -> bool:
        """Whether it knows extensions: it has said so, or Register has."""
        return self.is_listed_tidegate or (self.link is not None and self.link.is_tidegate)

    def register(self, is_listed: bool, is_tidegate: bool) -> None:
        """Register says whether it is there, and whether it is Tidegate's."""
        self.is_listed, self.is_listed_tidegate = is_listed, is_tidegate
        self.binary_flag = BINARY if self.is_tidegate else 0
        self.await_link(is_listed)

    def await_link(self, is_awaited: bool) -> None:
        """Say whether a link is going to be made where there is none."""
        self.is_awaited = is_awaited
        if not is_awaited and self.link is None:
            self._give_up("there is no link to it")

    def linked(self, link: GatewayLink, greeting: bytes) -> None:
        """There is a link: greet it, and send what was held for it."""
        self.lost.clear()
        self.drained.clear()
        self.link = link
        self.direct = link if self._nats is None else None
        link.watch()
        link.send(greeting)
        for packet, _, asked in self._backlog.take():
            if asked is None:
                link.send(packet)
            else:
                self._ask_held(packet, asked)
        self.sessions.linked(link)
        self._has_room.set()

    def knows(self, client: Client) -> bool:
        """Whether a client is one of its."""
        return self.clients.get(client._number) is client

    def take_broken(self) -> bool:
        """Whether a link has ended, or a command was lost, since this was asked last."""
        is_broken, self._is_broken = self._is_broken, False
        return is_broken

    # Sending

    def send(self, packet: bytes) -> None:
        """Send a command, from any thread, or hold it for a link; where there is no room for it, it is counted."""
        if get_ident() != self.thread:
            self._handover.call(self.send, packet)
            return
        link = self.link
        if self._nats is not None and (packet[4] not in ON_THE_LINK or (link is None and not self.is_awaited)):
            self._nats.tell(self.address, packet)
        elif link is None:
            if not self.is_awaited:
                self._refuse("there is no link to it")
            elif not self._backlog.add(packet):
                self._refuse(self._no_room)
        elif link.is_full and link.queued_bytes > MOST * self.limit:
            self._refuse(f"it does not read, and {link.queued_bytes} bytes wait for it already")
        else:
            link.send(packet)

    def _refuse(self, reason: str, count: int = 1) -> None:
        self.counts.failed += count
        self._is_broken = True
        what = "a command for gateway %s is lost: %s" if count == 1 else f"{count} commands for gateway %s are lost: %s"
        self._dispatcher.throttle.log(logging.WARNING, f"%s: {what}", self._dispatcher.name, self.address, reason)

    @property
    def _no_room(self) -> str:
        return f"there is no link to it yet, and {self._backlog.size} bytes are held for one already"

    def _give_up(self, reason: str, seconds: float = 0.0) -> None:
        """Lose what has been held for so long."""
        lost = self._backlog.give_up(self._cannot_be_asked(reason), seconds)
        if lost:
            self._refuse(reason, lost)
        self._has_room.set()

    def _cannot_be_asked(self, reason: str) -> ClusterError:
        return ClusterError(f"gateway {self.address} can't be asked: {reason}")

    @property
    def is_used(self) -> bool:
        """Whether anything is on its way there, or may be."""
        return self.link is not None or self._backlog.size > 0

    @property
    def _is_full(self) -> bool:
        return self.link.is_full if self.link is not None else self._backlog.is_much

    def __await__(self) -> Generator[Any, Any, None]:
        if self._nats is not None:
            yield from self._nats.__await__()
        while self._is_full:
            self._has_room.clear()
            yield from self._has_room.wait().__await__()

    def ask(self, query: bytes) -> asyncio.Future[bytes]:
        """Send a query, behind what was sent before, or hold it for a link; gives a future of the serialized answer.

        Raises:
            ClusterError: there is no link and will be none, or too much waits.
        """
        link = self.link
        if link is None:
            return self._hold_query(query)
        if not self.is_tidegate:
            return asyncio.ensure_future(self._asking.ask(query))
        future = link.ask(query, self.address)
        self.regulate()
        return future

    def _hold_query(self, query: bytes) -> asyncio.Future[bytes]:
        if not self.is_awaited:
            raise self._cannot_be_asked("there is no link to it at the moment")
        asked: Asked = asyncio.get_running_loop().create_future()
        if not self._backlog.add(query, asked):
            raise self._cannot_be_asked(self._no_room)
        return asyncio.ensure_future(self._answer_in_time(asked))

    async def _answer_in_time(self, asked: Asked) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await (await asked)
        except TimeoutError:
            raise failures.not_answered(self.address, ANSWER_SECONDS) from None

    def _ask_held(self, query: bytes, asked: Asked) -> None:
        try:
            asked.set_result(self.ask(query))
        except ClusterError as error:
            asked.set_exception(error)

    # What the link calls

    def link_received(self, link: GatewayLink, runs: list[Run]) -> None:
        """Take events, and answers."""
        if link is not self.link:
            return
        if self._is_closed_to_events:
            self.counts.unread += sum(len(run[4]) for run in runs if run[0] in EVENT_NAMES)
            return
        if self.is_frozen and any(run[1] in self.clients and run[0] in EVENT_NAMES for run in runs):
            self.thaw(sent_again=True)  # it knows our clients, so that it is the same process as before
        self._dispatcher.take_all(self, link, runs)
        link.progressed()
        self.regulate()

    def meet(self, packet: Packet) -> Client:
        """Make a client of its first event here."""
        _, number, flags, ext, _, self.ip, self.port, ip, port, gateway_port = packet  # client ids are made of these
        client = self.clients[number] = Client(self, number, ext[:16] if flags & IPV6 else ip, port, gateway_port)
        return client

    def control(self, link: GatewayLink, packet: Packet) -> None:
        """Take what is no event."""
        command, number, _, ext, body, *_ = packet
        if command == commands.QUERY:
            link.answer(number, body, goes_on=ext == commands.MORE)
        elif command == commands.PING:
            if ext and link.is_tidegate:
                link.has_left = link.has_left or says(ext, "stops")
            elif ext and says(ext, "tidegate"):
                link.greet()
                self.binary_flag = BINARY
                self.greeted.set()
        elif command == commands.DRAIN:
            link.is_drained = True
            self.drained.set()
        else:
            self.counts.strange += 1
            self._dispatcher.throttle.log(
                logging.WARNING,
                "%s: gateway %s sent the unknown command %d",
                self._dispatcher.name,
                self.address,
                command,
            )

    def link_drained(self, link: GatewayLink) -> None:  # noqa: ARG002
        """There is room again."""
        self._has_room.set()
        self.regulate()

    def link_lost(self, link: GatewayLink, error: Exception | None) -> None:
        """The link has ended."""
        if link is not self.link:
            return
        self.link = self.direct = None
        self.has_left, self.error = link.has_left, error
        self._is_broken = True
        self.counts.unconfirmed += link.unconfirmed if error is not None else 0
        self.binary_flag = BINARY if self.is_listed_tidegate else 0
        link.fail(ClusterError(f"the link to gateway {self.address} broke before it answered"))
        # A Tidegate gateway gives what was not begun to another worker, unless it stops; with PHP it is only here.
        self.is_frozen = link.is_tidegate and not link.has_left
        self.sessions.lost()
        self._has_room.set()
        self.greeted.clear()
        self.drained.set()
        self.lost.set()

    # Reading

    def regulate(self) -> None:
        """Read on, or no more: while too many events are pending, or too much waits for this gateway.

        A query's answer comes behind the events that the gateway has sent before it: while one is waited for, somewhat
        more is taken.
        """
        link = self.link
        if link is None or self._is_closed_to_events:
            return
        dispatcher = self._dispatcher
        is_enough = dispatcher.check() or link.is_full
        if is_enough and not (link.requests and dispatcher.pending < MOST * dispatcher.max_pending):
            link.pause_reading()
        else:
            link.resume_reading()

    # Clients

    def forget(self, client: Client) -> None:
        """A client is gone."""
        if self.knows(client):
            del self.clients[client._number]
        self.sessions.forget(client)

    def release(self, client: Client) -> None:
        """Another worker is to have a client that is free here, once `send_released` says so."""
        self.forget(client)
        self._released.append(client._number)

    def drain(self) -> None:
        """Ask for no new events; `drained` is set behind the last that there are."""
        if self.link is not None:
            self.drained.clear()
            self.link.send(pack(commands.DRAIN))

    def stop_taking(self) -> None:
        """Take no more events of a gateway that does not know DRAIN."""
        if self.link is not None:
            self.link.pause_reading()
            self._is_closed_to_events = True

    def release_free(self) -> None:
        """Let others have those that are free, and the rest as they become so."""
        self.is_releasing = True
        for client in tuple(self.clients.values()):
            if not client._is_running and not client._waiting:
                self.release(client)

    def take_released(self) -> list[int]:
        """Connection ids of the clients that are free, and of which nobody was told."""
        released, self._released = self._released, []
        return released

    def send_released(self, released: Sequence[int]) -> None:
        """Let another worker have these."""
        if self.link is not None:
            for start in range(0, len(released), RELEASED_A_PACKET):
                part = released[start : start + RELEASED_A_PACKET]
                self.link.send(pack(commands.RELEASE, body=pack_released(part)))

    def thaw(self, *, sent_again: bool) -> None:
        """Go on with what waits of the last link's events, or forget it where the gateway sends them again."""
        self.is_frozen = False
        for client in tuple(self.clients.values()):
            if sent_again:
                self._dispatcher.give_back(client, self.link)
            self._dispatcher.go_on(client)

    # Time

    def sweep(self) -> None:
        """Once a second."""
        link = self.link
        if link is None:
            self._give_up(f"there was no link to it for {HELD_SECONDS:g} s", HELD_SECONDS)
            return
        link.expire(self.address)
        self.sessions.settle(link.confirmed)

    def close(self) -> None:
        """End what is connected to it."""
        self._asking.close()
        if self.link is not None:
            self.link.destroy()

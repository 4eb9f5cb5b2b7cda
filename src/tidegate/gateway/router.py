"""Which worker a client's events go to, and sending them there in order.

All events of a client go to one worker, chosen at its first. They are held while there is none, and while that one
drains and has not released the client; those that a worker had not started when its link died go to another.

A worker that has enough, on its link or taken and not started, is no reason to drop anything: the clients that it
serves are read from no more, and new ones go to others, or wait as where there is none. So what stands in its queue is
bounded by its limit, what came in one read of each of its clients, and their ends.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.event import Place, pack_event, pack_messages
from tidegate.gateway.held import Held
from tidegate.gateway.peer import Event, Peer, Window
from tidegate.net.link import Link
from tidegate.net.reactor import Reactor
from tidegate.net.throttle import Throttle
from tidegate.protocols import Message
from tidegate.wire.commands import EVENT_NAMES, ON_CLOSE, ON_CONNECT, ON_MESSAGE

__all__ = ["Choice", "Router", "RouterStats"]

logger = logging.getLogger("tidegate")

Choice: TypeAlias = Callable[[Sequence[Peer], GatewayConnection, str], Peer]
"""Takes the workers, a client and an event's name, and gives one of the workers."""

TOO_BIG, TRY_AGAIN_LATER = 1009, 1013
"""Close codes for a client with more to say than a packet holds, and for one that nobody serves."""


@dataclass(slots=True)
class RouterStats:
    """What it counts.

    Attributes:
        events_lost: that a worker had started and not finished when its link died.
        events_resent: that it had not started, and went to another.
        events_dropped: for which no worker came in time.
        events_too_big: that would have made a packet over the limit; their clients were closed.
        router_errors: of the user's own router.
    """

    events_lost: int = 0
    events_resent: int = 0
    events_dropped: int = 0
    events_too_big: int = 0
    router_errors: int = 0


class Router:
    """One gateway process's.

    Args:
        place: of this gateway.
        choice: "least" (fewest clients), "random", or a function of the user's, which is asked at each event.
        wait_seconds: that events wait for a worker.
        wait_limit: bytes of them.
        send_limit: bytes that a worker may have waiting, before its clients are read from no more.
        max_packet_size: bytes.
    """

    def __init__(
        self,
        place: Place,
        choice: str | Choice,
        *,
        wait_seconds: float,
        wait_limit: int,
        send_limit: int,
        max_packet_size: int,
    ) -> None:
        self._place = place
        self._own = choice if callable(choice) else None
        self._choose = _at_random if choice == "random" else _least
        self._wait_seconds = wait_seconds
        self._send_limit = send_limit
        self._max_packet_size = max_packet_size
        self._held = Held(wait_limit)
        self._peers: dict[str, Peer] = {}  # by key, also those gone that still have clients
        self._ready: list[Peer] = []  # that take events
        self._refused: set[GatewayConnection] = set()  # being closed, and no worker has heard of them
        self._throttle = Throttle(logger)
        self._reactor = Reactor.acquire()
        self.stats = RouterStats()

    def release(self) -> None:
        """End it."""
        left = sum(len(self._held.take(client)) for client in self._held.clients())
        if left:
            self.stats.events_dropped += left
            logger.warning("%d events were left for which no worker came", left)
        self._reactor.release()

    # Events

    def forward(self, client: GatewayConnection, messages: list[Message]) -> None:
        """Send what came from a client in one read."""
        peer = client.peer
        if (
            peer is None
            or peer.link is None
            or peer.is_draining
            or self._own is not None
            or ON_MESSAGE not in peer.events
            or (packets := pack_messages(self._place, client, messages, peer.is_tidegate, self._max_packet_size))
            is None
        ):
            for message in messages:
                if client.is_open:  # it is not, once one of them was too much
                    self.event(client, ON_MESSAGE, message)
            return
        peer.link.send(packets)
        if peer.is_tidegate:
            peer.window.add(client, ON_MESSAGE, messages)
        if peer.is_full:
            self._hold_up(client, peer)

    def event(self, client: GatewayConnection, command: int, message: Message = "") -> None:
        """Send an event of a client's, or hold it."""
        if client in self._refused:
            if command == ON_CLOSE:
                self._refused.discard(client)
            else:
                self.stats.events_dropped += 1
            return
        self._take((client, command, message, False), True)

    def _take(self, event: Event, is_new: bool) -> None:
        client, command, *_ = event
        peer = None if client in self._held else self._route(client, command)
        if peer is not None:
            self._send(peer, event)
            return
        self._held.add(event, self._reactor.advance(), is_new)
        if client.peer is not None or not is_new:
            return
        # The end of a client takes hardly any room, and there is but one.
        if self._held.is_over and command != ON_CLOSE:
            self._give_up(client, "as much as may waits for a worker")
        elif self._ready:
            client.pause()  # the workers have enough: what it says meanwhile would take the room of those that come

    def _send(self, peer: Peer, event: Event) -> None:
        client, command, message, is_again = event
        link = peer.link
        assert link is not None
        if command in peer.events:
            packet = pack_event(self._place, client, command, message, peer.is_tidegate, is_again)
            if len(packet) > self._max_packet_size:
                self._refuse(client, len(packet))
            else:
                link.send(packet)
                if peer.is_tidegate:
                    peer.window.add(client, command, (message,))
        if command == ON_CLOSE:
            peer.held_up.discard(client)
            self._part(client)
        elif peer.is_full:
            self._hold_up(client, peer)

    def _refuse(self, client: GatewayConnection, size: int) -> None:
        self.stats.events_too_big += 1
        self._throttle.log(
            logging.WARNING,
            "client %s closed: with its session its message makes a packet of %d bytes, over max_packet_size=%d",
            client.id,
            size,
            self._max_packet_size,
        )
        client.close(code=TOO_BIG, reason="longer than a packet in the cluster may be")

    def _hold_up(self, client: GatewayConnection, peer: Peer) -> None:
        """Read no more from a client whose worker has enough, until that has less."""
        if not client.is_gone:
            peer.held_up.add(client)
            client.pause()

    # Choosing

    def _route(self, client: GatewayConnection, command: int) -> Peer | None:
        """The worker for an event; None where it has to wait."""
        peer = client.peer
        if peer is not None:
            if peer.is_draining:
                return None
            if peer.link is not None and self._own is None:
                return peer
        chosen = self._pick(client, command) if self._ready else None
        if chosen is not None and command == ON_CONNECT and chosen.is_full:
            return None
        if chosen is not peer:
            self._part(client)
            if chosen is not None:
                client.peer = chosen
                chosen.clients += 1
        return chosen

    def _pick(self, client: GatewayConnection, command: int) -> Peer:
        if self._own is not None:
            return self._ask(self._own, client, command)
        return self._choose([peer for peer in self._ready if not peer.is_full] or self._ready)

    def _ask(self, choice: Choice, client: GatewayConnection, command: int) -> Peer:
        """Have the user's own router choose; where it fails, the one with the fewest clients serves."""
        try:
            chosen = choice(tuple(self._ready), client, EVENT_NAMES[command])
            if any(chosen is peer for peer in self._ready):
                return chosen
            raise TypeError(f"a router gives one of the workers, not {chosen!r}")
        except Exception as error:
            self.stats.router_errors += 1
            if self.stats.router_errors == 1:  # its traceback once, as it may fail for every message
                logger.exception("the router failed for client %s", client.id)
            else:
                problem = f"{type(error).__name__}: {error}"
                self._throttle.log(logging.ERROR, "the router failed for client %s: %s", client.id, problem)
        return _least(self._ready)

    def _part(self, client: GatewayConnection) -> None:
        """A client and its worker have nothing to do with each other any more."""
        peer = client.peer
        if peer is None:
            return
        client.peer = None
        peer.clients -= 1
        if peer.link is None and not peer.clients:
            self._peers.pop(peer.key, None)

    # Workers

    def join(
        self, key: str, link: Link, is_tidegate: bool = False, events: frozenset[int] | None = None
    ) -> tuple[Peer, Link | None]:
        """A worker has come; one of that key that was here keeps its clients, and its link, which is given, ends."""
        before = self._peers.get(key)
        replaced = before.link if before is not None else None
        if before is not None and replaced is not None:
            self.leave(before)
        # It is gone where it had no clients.
        peer = self._peers.setdefault(key, before or Peer(key, self._send_limit))
        peer.come(link, is_tidegate, events)
        self._ready.append(peer)
        self._send_held()
        return peer, replaced

    def leave(self, peer: Peer) -> None:
        """A worker's link is gone: what it had not started goes to another."""
        peer.link = None
        peer.is_draining = False
        if peer in self._ready:
            self._ready.remove(peer)
        self._resume(peer)
        window, peer.window = peer.window, Window()
        if window.running:
            self.stats.events_lost += window.running
            logger.warning(
                "worker %s is gone with %d events that it had begun and not finished", peer.key, window.running
            )
        events: list[Event] = [(*sent, True) for sent in window.rest()]
        self.stats.events_resent += len(events)
        for client in self._held.clients():
            if client.peer is peer:
                events += self._held.take(client)
        self._send_again(peer, events)
        if not peer.clients:
            self._peers.pop(peer.key, None)

    def _send_again(self, peer: Peer, events: Iterable[Event]) -> None:
        """Let other workers have events of a worker's clients."""
        for client in {event[0] for event in events}:
            if client.peer is peer:
                self._part(client)
        for event in events:
            self._take(event, False)

    def drain(self, peer: Peer) -> None:
        """A worker takes no new events; its clients' are held until it releases them."""
        peer.is_draining = True
        if peer in self._ready:
            self._ready.remove(peer)
        self._resume(peer)

    def release_clients(self, peer: Peer, numbers: Iterable[int], clients: Mapping[int, GatewayConnection]) -> None:
        """A draining worker has done with clients.

        Args:
            numbers: their connection ids.
            clients: the open ones.
        """
        for number in numbers:
            client = clients.get(number) or self._held.find(number)
            if client is not None and client.peer is peer:
                self._part(client)
                self._send_again(peer, self._held.take(client))

    def progressed(self, peer: Peer) -> None:
        """A worker has started events."""
        if peer.was_full and peer.link is not None and not peer.link.is_full and peer.window.weight <= peer.limit // 2:
            self._drained(peer)

    def link_drained(self, peer: Peer) -> None:
        """A worker's link has room again."""
        if peer.window.weight <= peer.limit:  # or it is said once it has started some
            self._drained(peer)

    def _drained(self, peer: Peer) -> None:
        peer.was_full = False
        self._resume(peer)
        self._send_held()

    def _resume(self, peer: Peer) -> None:
        held_up, peer.held_up = peer.held_up, set()
        for client in held_up:
            if client not in self._held:
                client.resume()

    # Holding

    def _send_held(self) -> None:
        """There is a worker, or one has room: send what waited for that."""
        for client in self._held.clients() if self._ready else ():
            if client.peer is not None and client.peer.is_draining:
                continue
            if self._held.is_new(client) and all(peer.is_full for peer in self._ready):
                continue
            for event in self._held.take(client):
                self._take(event, False)

    def sweep(self) -> None:
        """Once a second: give up on clients that nobody came for."""
        self._throttle.flush()
        now = self._reactor.now
        for client in self._held.clients():
            if client.peer is not None and client.peer.is_draining:
                continue
            if now - self._held.since(client) >= self._wait_seconds:
                self._give_up(client, "no worker came for it in time")

    def _give_up(self, client: GatewayConnection, why: str) -> None:
        is_new = self._held.is_new(client)
        events = self._held.take(client)
        self.stats.events_dropped += len(events)
        if is_new and events[-1][1] != ON_CLOSE:
            self._refused.add(client)  # what is still to come of it is of no use to anybody
        self._throttle.log(logging.WARNING, "client %s closed with %d events: %s", client.id, len(events), why)
        client.close(code=TRY_AGAIN_LATER, reason="nobody serves here at the moment")

    @property
    def waiting(self) -> int:
        """Clients whose events are held."""
        return len(self._held)


def _least(peers: Sequence[Peer]) -> Peer:
    """One of those with the fewest clients: the first of them would get those of all gateways that have few."""
    fewest = min(peer.clients for peer in peers)
    return _at_random([peer for peer in peers if peer.clients == fewest])


def _at_random(peers: Sequence[Peer]) -> Peer:
    return random.choice(peers)  # noqa: S311 - nothing depends on it but the load

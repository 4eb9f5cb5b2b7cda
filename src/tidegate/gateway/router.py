"""Which worker a client's events go to, and sending them there in order.

All events of a client go to one worker, chosen at its first. They are held while there is none, and while that one
drains and has not released the client; those that a worker had not started when its link died go to another.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.held import Held
from tidegate.gateway.peer import Event, Peer, Window
from tidegate.net.link import Link
from tidegate.net.reactor import Reactor
from tidegate.protocols import Message
from tidegate.wire.commands import (
    BINARY,
    EVENT_NAMES,
    IPV6,
    ON_CLOSE,
    ON_MESSAGE,
    ON_WEBSOCKET_CONNECT,
    SCALAR,
)
from tidegate.wire.packet import HEADER, HEADER_SIZE

__all__ = ["Choice", "Place", "Router", "RouterStats"]

logger = logging.getLogger("tidegate")

Choice: TypeAlias = Callable[[Sequence[Peer], GatewayConnection, str], Peer]
"""Takes the workers, a client and an event's name, and gives one of the workers."""

TRY_AGAIN_LATER = 1013
"""The close code for a client that nobody serves."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the header of every packet says of the gateway.

    Attributes:
        ip, port: where its inner port is.
        gateway_port: where clients connect.
    """

    ip: int
    port: int
    gateway_port: int


@dataclass(slots=True)
class RouterStats:
    """What it counts.

    Attributes:
        events_lost: that a worker had started and not finished when its link died.
        events_resent: that it had not started, and went to another.
        events_dropped: for which no worker came in time.
        router_errors: of the user's own router.
    """

    events_lost: int = 0
    events_resent: int = 0
    events_dropped: int = 0
    router_errors: int = 0


class Router:
    """One gateway process's.

    Args:
        place: of this gateway.
        choice: "least" (fewest clients), "random", or a function of the user's, which is asked at each event.
        wait_seconds: that events wait for a worker.
        wait_limit: bytes of them.
    """

    def __init__(self, place: Place, choice: str | Choice, wait_seconds: float, wait_limit: int) -> None:
        self._place = place
        self._own = choice if callable(choice) else None
        self._choose = _at_random if choice == "random" else _least
        self._wait_seconds = wait_seconds
        self._held = Held(wait_limit)
        self._peers: dict[str, Peer] = {}  # by key, also those gone that still have clients
        self._ready: list[Peer] = []  # that take events
        self._reactor = Reactor.acquire()
        self.stats = RouterStats()

    def release(self) -> None:
        """End it."""
        self._reactor.release()

    @property
    def workers(self) -> Sequence[Peer]:
        """Those that take events."""
        return self._ready

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
            or type(client.origin) is bytes
        ):
            for message in messages:
                self.event(client, ON_MESSAGE, message)
            return
        place, link, session = self._place, peer.link, client.session
        pack, size = HEADER.pack, HEADER_SIZE + len(session)
        kept = peer.window.events.append if peer.is_tidegate else None
        for message in messages:
            flags = SCALAR
            if type(message) is str:
                body = message.encode()
            else:
                body = message  # type: ignore[assignment] # bytes, as the codecs give
                if kept is not None:
                    flags = SCALAR | BINARY
            header = pack(
                size + len(body),
                ON_MESSAGE,
                place.ip,
                place.port,
                client.origin,
                client.port,
                client.id,
                flags,
                place.gateway_port,
                len(session),
            )
            link.send(header + session + body)
            if kept is not None:
                kept((client, ON_MESSAGE, message))
        if link.is_full:
            self._hold_up(client, peer)

    def event(self, client: GatewayConnection, command: int, message: Message = "") -> None:
        """Send an event of a client's, or hold it."""
        event = (client, command, message)
        if client in self._held:
            self._hold(event)
            return
        peer = self._route(client, command)
        if peer is None:
            self._hold(event)
        else:
            self._send(peer, event)

    def _send(self, peer: Peer, event: Event) -> None:
        client, command, message = event
        link = peer.link
        assert link is not None
        if command in peer.events:
            link.send(self._pack(peer, client, command, message))
            if peer.is_tidegate:
                peer.window.events.append(event)
            if link.is_full and command != ON_CLOSE:
                self._hold_up(client, peer)
        if command == ON_CLOSE:
            self._part(client)

    def _pack(self, peer: Peer, client: GatewayConnection, command: int, message: Message) -> bytes:
        ext = client.session
        flags = SCALAR
        if command == ON_WEBSOCKET_CONNECT:
            flags = 0
        elif isinstance(message, bytes) and peer.is_tidegate:
            flags = SCALAR | BINARY
        body = message.encode() if isinstance(message, str) else message
        origin = client.origin
        if isinstance(origin, bytes):
            if peer.is_tidegate:
                ext = origin + ext
                flags |= IPV6
            origin = 0
        place = self._place
        header = HEADER.pack(
            HEADER_SIZE + len(ext) + len(body),
            command,
            place.ip,
            place.port,
            origin,
            client.port,
            client.id,
            flags,
            place.gateway_port,
            len(ext),
        )
        return header + ext + body

    def _hold_up(self, client: GatewayConnection, peer: Peer) -> None:
        """Read no more from a client whose worker has enough, until that has less."""
        if not client.is_gone:
            peer.held_up.add(client)
            client.pause()

    # Choosing

    def _route(self, client: GatewayConnection, command: int) -> Peer | None:
        """The worker for an event; None where it has to wait."""
        peer = client.peer
        if peer is not None and peer.is_draining:
            return None
        if self._own is None:
            if peer is not None and peer.link is not None:
                return peer
            chosen = self._choose(self._ready) if self._ready else None
        else:
            chosen = self._ask(self._own, client, command) if self._ready else None
        if chosen is not peer:
            self._part(client)
            if chosen is not None:
                client.peer = chosen
                chosen.clients += 1
        return chosen

    def _ask(self, choice: Choice, client: GatewayConnection, command: int) -> Peer:
        """Have the user's own router choose; where it fails, the one with the fewest clients serves."""
        try:
            chosen = choice(tuple(self._ready), client, EVENT_NAMES[command])
            if chosen in self._ready:
                return chosen
            raise TypeError(f"a router gives one of the workers, not {chosen!r}")
        except Exception:
            self.stats.router_errors += 1
            logger.exception("the router failed for client %s", client.id)
        return _least(self._ready)

    def _part(self, client: GatewayConnection) -> None:
        """A client and its worker have nothing to do with each other any more."""
        peer = client.peer
        if peer is None:
            return
        client.peer = None
        peer.clients -= 1
        if peer.link is None and not peer.clients and self._peers.get(peer.key) is peer:
            del self._peers[peer.key]

    # Workers

    def join(
        self, key: str, link: Link, is_tidegate: bool = False, events: frozenset[int] | None = None
    ) -> tuple[Peer, Link | None]:
        """A worker has come; one of that key that was here keeps its clients, and its link, which is given, ends."""
        replaced = None
        before = self._peers.get(key)
        if before is not None and before.link is not None:
            replaced = before.link
            self.leave(before)
            before = self._peers.get(key)  # gone, where it had no clients
        if before is None:
            peer = self._peers[key] = Peer(key, link, is_tidegate, events)
        else:
            peer = before
            fresh = Peer(key, link, is_tidegate, events)
            peer.link, peer.window, peer.is_draining = link, Window(), False
            peer.is_tidegate, peer.events = fresh.is_tidegate, fresh.events
        self._ready.append(peer)
        self._send_held()
        return peer, replaced

    def leave(self, peer: Peer) -> None:
        """A worker's link is gone: what it had not started goes to another."""
        peer.link = None
        if peer in self._ready:
            self._ready.remove(peer)
        self.drained(peer)
        rest, lost, peer.window = peer.window.rest(), peer.window.running, Window()
        if lost:
            self.stats.events_lost += lost
            logger.warning("worker %s is gone with %d events that it had begun and not finished", peer.key, lost)
        waiting = [client for client in self._held.clients() if client.peer is peer]
        held = [event for client in waiting for event in self._held.take(client)]
        peer.is_draining = False
        for client in {client.id: client for client, _, _ in (*rest, *held)}.values():
            if client.peer is peer:
                self._part(client)
        self.stats.events_resent += len(rest)
        for event in (*rest, *held):
            self.event(*event)
        if not peer.clients:
            self._peers.pop(peer.key, None)

    def drain(self, peer: Peer) -> None:
        """A worker takes no new events; its clients' are held until it releases them."""
        peer.is_draining = True
        if peer in self._ready:
            self._ready.remove(peer)
        self.drained(peer)

    def release_clients(self, peer: Peer, ids: Sequence[int], clients: Any) -> None:
        """A draining worker has done with clients."""
        held = {client.id: client for client in self._held.clients() if client.peer is peer}
        for number in ids:
            client = clients.get(number) or held.get(number)
            if client is not None and client.peer is peer:
                self._part(client)
                for event in self._held.take(client):
                    self.event(*event)

    def drained(self, peer: Peer) -> None:
        """A worker's link has room again."""
        held_up, peer.held_up = peer.held_up, set()
        for client in held_up:
            if client not in self._held:
                client.resume()

    # Holding

    def _hold(self, event: Event) -> None:
        client = event[0]
        self._held.add(event, self._reactor.advance())
        if self._held.is_over and client.peer is None:
            self._give_up(client)

    def _send_held(self) -> None:
        """There is a worker: send what waited for one."""
        for client in self._held.clients():
            if client.peer is None or not client.peer.is_draining:
                for event in self._held.take(client):
                    self.event(*event)

    def sweep(self) -> None:
        """Once a second: give up on clients that nobody came for."""
        now = self._reactor.now
        for client in self._held.clients():
            if (client.peer is None or not client.peer.is_draining) and (
                now - self._held.since(client) >= self._wait_seconds
            ):
                self._give_up(client)

    def _give_up(self, client: GatewayConnection) -> None:
        self.stats.events_dropped += len(self._held.take(client))
        client.close(code=TRY_AGAIN_LATER, reason="nobody serves here at the moment")

    @property
    def waiting(self) -> int:
        """Clients whose events are held."""
        return len(self._held)


def _least(peers: Sequence[Peer]) -> Peer:
    return min(peers, key=_clients)


def _clients(peer: Peer) -> int:
    return peer.clients


def _at_random(peers: Sequence[Peer]) -> Peer:
    return random.choice(peers)  # noqa: S311 - nothing depends on it but the load

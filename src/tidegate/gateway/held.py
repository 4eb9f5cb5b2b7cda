"""Events that wait: for a worker where there is none, or for a draining one to release their client."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tidegate.gateway.peer import EVENT_SIZE, Event
from tidegate.wire.commands import ON_CONNECT

if TYPE_CHECKING:
    from tidegate.gateway.connection import GatewayConnection

__all__ = ["Held"]

MAX_EVENTS = 100
"""Of one client, before it is read from no more."""


class Waiting:
    """One client's."""

    __slots__ = ("client", "events", "since", "size")

    def __init__(self, client: GatewayConnection, since: float) -> None:
        self.client = client
        self.since = since
        self.events: deque[Event] = deque()
        self.size = 0


class Held:
    """All clients'.

    Args:
        limit: bytes of new events in all, over which `is_over` says so. Those that a worker had been sent already are
            not counted again: how many they are was bounded there. A client is read from no more once it has
            `MAX_EVENTS`, or while the limit is passed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clients: dict[int, Waiting] = {}
        self.size = 0

    def __contains__(self, client: GatewayConnection) -> bool:
        return client.id in self._clients

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_over(self) -> bool:
        """Whether more is held than may be."""
        return self.size > self._limit

    def add(self, event: Event, now: float, is_new: bool) -> None:
        """Hold an event behind the others of its client."""
        client = event[0]
        waiting = self._clients.get(client.id)
        if waiting is None:
            waiting = self._clients[client.id] = Waiting(client, now)
        waiting.events.append(event)
        if is_new:
            size = EVENT_SIZE + len(event[2])
            waiting.size += size
            self.size += size
        if len(waiting.events) >= MAX_EVENTS or self.is_over:
            client.pause()

    def take(self, client: GatewayConnection) -> deque[Event]:
        """Give a client's, which are held no more; it is read from again."""
        waiting = self._clients.pop(client.id, None)
        if waiting is None:
            return deque()
        self.size -= waiting.size
        client.resume()
        return waiting.events

    def find(self, number: int) -> GatewayConnection | None:
        """Whose events wait under a connection id, also where the connection is gone."""
        waiting = self._clients.get(number)
        return waiting.client if waiting is not None else None

    def clients(self) -> list[GatewayConnection]:
        """Whose events wait, the longest first."""
        return [waiting.client for waiting in self._clients.values()]

    def is_new(self, client: GatewayConnection) -> bool:
        """Whether nothing of a client's was ever sent: the first that waits is its coming."""
        return self._clients[client.id].events[0][1] == ON_CONNECT

    def since(self, client: GatewayConnection) -> float:
        """When the first of a client's began to wait."""
        return self._clients[client.id].since

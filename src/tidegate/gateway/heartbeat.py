"""Heartbeats to clients, by one sweep for a process (wire protocol, "Heartbeat to clients")."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tidegate.gateway.connection import GatewayConnection
from tidegate.net.outbox import Sendable
from tidegate.net.reactor import Reactor

__all__ = ["Heartbeat"]

CLIENTS_A_TURN = 1000
"""That are asked at a time, so that a sweep of tens of thousands holds nobody's messages up."""


class Heartbeat:
    """Asks clients from which nothing came whether they are there, and closes those that stay silent.

    Args:
        clients: gives the open ones.
        interval: seconds between questions.
        limit: questions without an answer after which a client is closed; 0 is never.
        data: what a client is asked with; None for WebSocket ping frames, which browsers answer by themselves. An empty
            message is not sent: then clients have to speak by themselves.
    """

    def __init__(
        self, clients: Callable[[], Iterable[GatewayConnection]], interval: float, limit: int, data: Sendable | None
    ) -> None:
        self._clients = clients
        self._limit = limit
        self._data = data
        self._pause = interval / 2 if limit else interval
        self._loop = asyncio.get_running_loop()
        self._reactor = Reactor.acquire()
        # As many of the last sweeps' times as are needed to tell how many a client has been silent for.
        self._sweeps = [self._reactor.advance()]
        self._timer = self._loop.call_later(self._pause, self._sweep)
        self.closed = 0

    def stop(self) -> None:
        """Ask no more."""
        self._timer.cancel()
        self._reactor.release()

    def _sweep(self) -> None:
        sweeps = self._sweeps
        last = sweeps[-1]
        sweeps.append(self._reactor.advance())
        del sweeps[: -(2 * self._limit + 3)]
        self._go_through(iter(tuple(self._clients())), last, sweeps[-1])

    def _go_through(self, clients: Iterator[GatewayConnection], last: float, now: float) -> None:
        """Look at some of the clients, and at the others in the next turn."""
        looked_at = 0
        for client in islice(clients, CLIENTS_A_TURN):
            looked_at += 1
            if client.is_open and not client.is_paused and client.last_read < last:
                self._look_at(client, len(self._sweeps) - bisect_right(self._sweeps, client.last_read))
        if looked_at == CLIENTS_A_TURN:
            self._timer = self._loop.call_later(0, self._go_through, clients, last, now)
        else:
            self._timer = self._loop.call_later(max(0, now + self._pause - self._loop.time()), self._sweep)

    def _look_at(self, client: GatewayConnection, silent: int) -> None:
        """See to a client that was silent for so many sweeps, this one among them."""
        if self._limit and silent >= 2 * self._limit + 2:
            self.closed += 1
            client.close(code=1008, reason="no sign of life")
        elif not self._limit or silent % 2:  # half an interval after a question nobody is asked, but may be closed
            self._ask(client)

    def _ask(self, client: GatewayConnection) -> None:
        if self._data is None:
            client.ping()
        elif self._data:
            client.send(self._data)

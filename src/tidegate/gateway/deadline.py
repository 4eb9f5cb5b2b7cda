"""Clients that have to say who they are in time: one sweep of a process looks after all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from tidegate.gateway.connection import GatewayConnection
from tidegate.net.throttle import Throttle

__all__ = ["TOO_LATE", "LoginDeadline"]

logger = logging.getLogger("tidegate")

TOO_LATE = 4408
"""The close code, after HTTP's 408. It is not 4401, after which a page does not connect again with what it has."""


class LoginDeadline:
    """Closes clients without a uid.

    Args:
        clients: the open ones by id.
        seconds: after which a client must have one; whether it keeps it is not looked at.

    Attributes:
        closed: how many were.
    """

    def __init__(self, name: str, clients: Mapping[int, GatewayConnection], seconds: float) -> None:
        self._name = name
        self._clients = clients
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._due: deque[tuple[float, int]] = deque()  # in their order; also those who have one or are gone by now
        self._throttle = Throttle(logger)
        self.closed = 0

    def watch(self, client: GatewayConnection) -> None:
        """A client has come."""
        self._due.append((self._loop.time() + self._seconds, client.id))

    def sweep(self) -> None:
        """Once a second: close those whose time is over."""
        self._throttle.flush()
        now = self._loop.time()
        while self._due and self._due[0][0] <= now:
            client = self._clients.get(self._due.popleft()[1])
            if client is None or client.uid is not None or not client.is_open:
                continue
            self.closed += 1
            self._throttle.log(
                logging.INFO, "%s: %s closed: no uid in %g s (authenticate_within)", self._name, client, self._seconds
            )
            client.close(code=TOO_LATE, reason=f"no uid in {self._seconds:g} s")

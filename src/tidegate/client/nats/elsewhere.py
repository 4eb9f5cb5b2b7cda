"""The other servers of a NATS cluster, on which a flush waits as well.

A gateway's own server knows at once what it listens to, the others a moment later. An answer of its that came through
another server came behind that: whoever pushes from there reaches the names that were given before. A server that can't
be reached from here, or not at the moment, is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.protocol import Info
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["BlockingElsewhere", "Elsewhere"]

Asked: TypeAlias = Sequence[tuple[str, bytes]]

SECONDS = 1.0
"""For a connection, and for the answers."""
AWAY_SECONDS = 30.0
"""That a server is left out which could not be reached."""


class Elsewhere:
    """For one loop. It connects when it is used first, and keeps the connections.

    Args:
        name: of this process, as NATS shows it to who operates it.
    """

    def __init__(self, place: NatsPlace, name: str) -> None:
        self._place = place
        self._name = name
        self._clients: dict[Server, NatsClient] = {}
        self._until: dict[Server, float] = {}  # the first connection is waited for

    async def ask(self, client: NatsClient, asked: Asked) -> None:
        """Return when what was asked is answered through each server that this client is not connected to."""
        others = client.others if asked else ()
        await self._stop([server for server in self._clients if server not in others])
        await asyncio.gather(*(self._ask(client, server, asked) for server in others))

    async def _ask(self, client: NatsClient, server: Server, asked: Asked) -> None:
        other = self._clients.get(server)
        if other is None:
            other = self._clients[server] = NatsClient(_alone(self._place, server), lambda _: None, name=self._name)
            other.start()
            self._until[server] = time.monotonic() + SECONDS
        with contextlib.suppress(ClusterTimeoutError):
            await other.connected(self._until[server] - time.monotonic())
        if other.is_connected and not _are_one(client.info, other.info):
            await other.gather(asked, SECONDS)

    async def stop(self) -> None:
        """Hang up."""
        await self._stop(tuple(self._clients))

    async def _stop(self, servers: Iterable[Server]) -> None:
        for client in [self._clients.pop(server) for server in servers]:
            await client.stop()


class BlockingElsewhere:
    """For any number of threads, and after a fork. It connects when it is used.

    Args:
        name: of this program, as NATS shows it to who operates it.
    """

    def __init__(self, place: NatsPlace, name: str) -> None:
        self._place = place
        self._name = name
        self._clients: dict[Server, BlockingNatsClient] = {}
        self._away: dict[Server, float] = {}  # until when

    def ask(self, client: BlockingNatsClient, asked: Asked) -> None:
        """Return when what was asked is answered through each server that this client is not connected to."""
        for server in client.others if asked else ():
            if self._away.get(server, 0.0) < time.monotonic():
                self._ask(client, server, asked)

    def _ask(self, client: BlockingNatsClient, server: Server, asked: Asked) -> None:
        other = self._clients.get(server)
        if other is None:
            made = BlockingNatsClient(
                _alone(self._place, server), name=self._name, connect_timeout=SECONDS, timeout=SECONDS
            )
            other = self._clients.setdefault(server, made)
        try:
            other.connect()
            is_another = not _are_one(client.info, other.info)
            if is_another:
                other.gather(asked)
        except ClusterError:
            is_another = False
        if not is_another:
            self._away[server] = time.monotonic() + AWAY_SECONDS

    def close(self) -> None:
        """Hang up."""
        for client in self._clients.values():
            client.close()


def _alone(place: NatsPlace, server: Server) -> NatsPlace:
    return replace(place, servers=(server,), goes_round=False)


def _are_one(first: Info | None, second: Info | None) -> bool:
    """Whether it is one server, by two names."""
    return first is None or second is None or first.fields.get("server_id") == second.fields.get("server_id")

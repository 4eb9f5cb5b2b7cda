"""Who carries the calls out: clients of the cluster, one for each event loop, or a worker with its own links."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from tidegate.client.api import AsyncPushAPI
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.client.options import read_options
from tidegate.errors import ClusterError
from tidegate.http.methods import METHODS
from tidegate.http.registered import Registered

__all__ = ["Carrier", "ClientCarrier", "Links", "WorkerCarrier"]

CONNECT_SECONDS, ANSWER_SECONDS = 3, 5


class Carrier(Protocol):
    """What the app needs."""

    async def gateways(self, wanted: Collection[str]) -> Collection[str]:
        """The inner addresses of the gateways that there are.

        Args:
            wanted: those that a call names.

        Raises:
            ClusterError: nobody can tell.
        """
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a method of the push API.

        Raises:
            ClusterError: the cluster, or a part of it, is not there.
            ValueError: the arguments together are too long.
        """
        ...

    async def close(self) -> None:
        """Let go of what was opened in this event loop."""
        ...


class ClientCarrier:
    """Connects to the cluster when it is first used.

    Args:
        cluster, secret_key, cluster_ssl: of an `AsyncGatewayClient`.

    Raises:
        ConfigurationError: one of them can't be used.
    """

    def __init__(
        self, cluster: str | Sequence[str] | None, secret_key: str | None, cluster_ssl: Sequence[str] | None
    ) -> None:
        self._options = read_options(cluster, secret_key, CONNECT_SECONDS, ANSWER_SECONDS, cluster_ssl)
        self._cluster = cluster
        self._by_loop: dict[asyncio.AbstractEventLoop, tuple[AsyncGatewayClient, Registered]] = {}

    def _here(self) -> tuple[AsyncGatewayClient, Registered]:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            for other in [other for other in self._by_loop if other.is_closed()]:
                del self._by_loop[other]
            options = self._options
            client = AsyncGatewayClient(
                self._cluster,
                secret_key=options.secret_key,
                connect_timeout=options.connect_timeout,
                timeout=options.timeout,
                cluster_ssl=options.trust.files if options.trust is not None else None,
            )
            self._by_loop[loop] = client, Registered(options)
        return self._by_loop[loop]

    async def gateways(self, wanted: Collection[str]) -> Collection[str]:
        client, registered = self._here()
        if self._options.nats is not None:
            return await client.gateways()
        return await registered.names(wanted)

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        client, _ = self._here()
        return await getattr(client, name)(**arguments)

    async def close(self) -> None:
        if asyncio.get_running_loop() in self._by_loop:
            client, _ = self._by_loop.pop(asyncio.get_running_loop())
            await client.aclose()


class Links(Protocol):
    """A worker's, to the gateways."""

    @property
    def failed(self) -> int:
        """Commands that could not be sent: the worker counts them, and raises nothing."""
        ...

    @property
    def addresses(self) -> Collection[str]:
        """The inner addresses of the gateways that there are."""
        ...

    async def settle(self) -> None:
        """Wait until what is held for gateways that are not linked has been sent, or given up."""
        ...


class WorkerCarrier:
    """Uses a worker's links."""

    def __init__(self, push: AsyncPushAPI, links: Links) -> None:
        self._push = push
        self._links = links

    async def gateways(self, wanted: Collection[str]) -> Collection[str]:  # noqa: ARG002
        return self._links.addresses

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        links = self._links
        failed = links.failed
        result = await getattr(self._push, name)(**arguments)
        if METHODS[name].is_query:
            return result
        await links.settle()
        if links.failed > failed:
            raise ClusterError("a gateway is not linked, or takes no more: not everybody it is for gets it")
        return None

    async def close(self) -> None:
        """It has opened nothing."""

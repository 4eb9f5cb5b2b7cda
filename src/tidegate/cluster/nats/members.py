"""The members of a cluster on NATS: who is there."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.cluster.nats.announced import GATEWAYS, GatewayEntry, read_gateway
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.watch import Watch

__all__ = ["Members"]


class Members:
    """The gateways there are, for as long as it is told.

    Args:
        client: on whose connection it listens.
        changed: is called when a gateway has come or gone.

    Attributes:
        gateways: by address.
    """

    def __init__(self, client: NatsClient, changed: Callable[[], None]) -> None:
        self.gateways: dict[str, GatewayEntry] = {}
        self._client = client
        self._tell = changed
        self._by_key: dict[str, GatewayEntry] = {}
        self._watch = Watch(Bucket(client, client.subjects.bucket), self._changed, pattern=GATEWAYS)

    def start(self) -> None:
        """Begin, in the running loop."""
        self._watch.start()

    async def listed(self, seconds: float) -> bool:
        """Wait until all that there were at the start are known; gives whether they are, in time."""
        return await self._watch.listed(seconds)

    async def stop(self) -> None:
        """Be told no more."""
        await self._watch.stop()

    def _changed(self, key: str, value: bytes | None) -> None:
        entry = None if value is None else read_gateway(value, key)
        if entry == self._by_key.get(key):
            return
        if entry is None:
            gone = self._by_key.pop(key)
            self._client.abandon(self._client.subjects.gateway(gone.address))
        else:
            self._by_key[key] = entry
        self.gateways = {each.address: each for each in self._by_key.values()}
        self._tell()

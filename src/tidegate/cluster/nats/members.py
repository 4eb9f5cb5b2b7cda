"""The members of a cluster on NATS: what each says of itself in the bucket, and who is there.

A gateway's entry is known by its inner address, so that there is one of an address.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.lease import lease_value
from tidegate.cluster.nats.subjects import address_token, name_token
from tidegate.cluster.nats.watch import Watch
from tidegate.wire.register_line import is_gateway_address

__all__ = [
    "GATEWAYS",
    "GatewayEntry",
    "Members",
    "encode_gateway",
    "encode_worker",
    "gateway_key",
    "read_gateways",
    "worker_key",
]

GATEWAYS = "gateway.>"
"""The keys of all gateways."""


class GatewayEntry(NamedTuple):
    """A gateway.

    Attributes:
        address: of its inner port, a dotted quad and the port.
        zone: whose workers serve its clients.
    """

    address: str
    zone: str


def gateway_key(address: str) -> str:
    """Of the entry of a gateway."""
    return f"gateway.{address_token(address)}"


def worker_key(key: str) -> str:
    """Of the entry of a worker's process, by what it calls itself on its links."""
    return f"worker.{name_token(key)}"


def encode_gateway(address: str, zone: str, version: str) -> bytes:
    """What a gateway says."""
    return _encode({"address": address, "zone": zone, "version": version})


def encode_worker(name: str, zone: str, version: str) -> bytes:
    """What a worker's process says."""
    return _encode({"name": name, "zone": zone, "version": version})


def _encode(says: dict[str, str]) -> bytes:
    return json.dumps(says, separators=(",", ":")).encode()


def read_gateways(entries: dict[str, bytes]) -> dict[str, GatewayEntry]:
    """The gateways by their address; what is no gateway's entry is passed over.

    Args:
        entries: values by key, as a bucket has them.
    """
    found = (_read(key, lease_value(raw)) for key, raw in entries.items())
    return {entry.address: entry for entry in found if entry is not None}


def _read(key: str, value: bytes) -> GatewayEntry | None:
    try:
        says = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(says, dict):
        return None
    address, zone = says.get("address"), says.get("zone")
    if not isinstance(address, str) or not is_gateway_address(address) or not isinstance(zone, str):
        return None
    return GatewayEntry(address, zone) if key == gateway_key(address) else None


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
        entry = None if value is None else _read(key, lease_value(value))
        if entry == self._by_key.get(key):
            return
        if entry is None:
            del self._by_key[key]
        else:
            self._by_key[key] = entry
        self.gateways = {each.address: each for each in self._by_key.values()}
        self._tell()

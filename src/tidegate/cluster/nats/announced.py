"""What each member of a cluster on NATS says of itself in its entry, and the keys of these, without I/O.

A gateway's entry is known by its inner address, so that there is one of an address.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from tidegate.cluster.nats.subjects import address_of_token, address_token, name_token
from tidegate.wire.register_line import is_gateway_address

__all__ = [
    "GATEWAYS",
    "ID_SIZE",
    "GatewayEntry",
    "address_of_key",
    "encode_gateway",
    "encode_worker",
    "gateway_key",
    "own_words",
    "read_gateway",
    "read_gateways",
    "worker_key",
]

ID_SIZE = 16
"""Characters before each value, which say whose entry it is: of two processes with the same to say, too."""
PREFIX = "gateway."
GATEWAYS = f"{PREFIX}>"
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
    return PREFIX + address_token(address)


def address_of_key(key: str) -> str | None:
    """The address of the gateway whose entry has a key; None where that is no gateway's."""
    address = address_of_token(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else ""
    return address if is_gateway_address(address) else None


def worker_key(key: str) -> str:
    """Of the entry of a worker's process, by what it calls itself on its links."""
    return f"worker.{name_token(key)}"


def encode_gateway(address: str, zone: str, version: str) -> bytes:
    """What a gateway says."""
    return _encode({"address": address, "zone": zone, "version": version})


def encode_worker(name: str, zone: str, version: str) -> bytes:
    """What a worker's process says."""
    return _encode({"name": name, "zone": zone, "version": version})


def own_words(raw: bytes) -> bytes:
    """What a member says, of the value of its entry."""
    return raw[ID_SIZE:]


def _encode(says: dict[str, str]) -> bytes:
    return json.dumps(says, separators=(",", ":")).encode()


def read_gateways(entries: dict[str, bytes]) -> dict[str, GatewayEntry]:
    """The gateways by their address; what is no gateway's entry is passed over.

    Args:
        entries: values by key, as a bucket has them.
    """
    found = (read_gateway(raw, key) for key, raw in entries.items())
    return {entry.address: entry for entry in found if entry is not None}


def read_gateway(raw: bytes, key: str | None = None) -> GatewayEntry | None:
    """The gateway that an entry is of; None where it is no gateway's.

    Args:
        raw: its value.
        key: that it has, where that is known.
    """
    try:
        says = json.loads(own_words(raw))
    except (ValueError, RecursionError):
        return None
    if not isinstance(says, dict):
        return None
    address, zone = says.get("address"), says.get("zone")
    if not isinstance(address, str) or not is_gateway_address(address) or not isinstance(zone, str):
        return None
    return GatewayEntry(address, zone) if key in (None, gateway_key(address)) else None

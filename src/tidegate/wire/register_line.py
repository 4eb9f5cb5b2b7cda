"""Lines to and from Register: a JSON object each (wire protocol, "Register")."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tidegate.errors import ProtocolError

__all__ = [
    "PING",
    "Addresses",
    "broadcast_addresses",
    "gateway_connect",
    "is_gateway_address",
    "parse_line",
    "read_addresses",
    "worker_connect",
]

PING = b'{"event":"ping"}\n'
NUMBER = "(0|[1-9][0-9]{0,4})"  # with a 0 before them some would read octal digits
QUAD = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}\.{NUMBER}:{NUMBER}")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The gateways' inner addresses, ``host:port`` each, and which of them are known to be Tidegate's."""

    all: tuple[str, ...] = ()
    tidegate: frozenset[str] = field(default_factory=frozenset)


def gateway_connect(address: str, secret_key: str = "") -> bytes:
    """A gateway announces its inner port."""
    return _line({"event": "gateway_connect", "address": address, "secret_key": secret_key, "tidegate": 1})


def worker_connect(secret_key: str = "") -> bytes:
    """A worker or a push client asks for the gateways."""
    return _line({"event": "worker_connect", "secret_key": secret_key})


def broadcast_addresses(addresses: Iterable[str], tidegate: Iterable[str] = ()) -> bytes:
    """Register's answer."""
    message: dict[str, Any] = {"event": "broadcast_addresses", "addresses": list(addresses)}
    if ours := list(tidegate):
        message["tidegate"] = ours
    return _line(message)


def parse_line(line: str | bytes) -> dict[str, Any]:
    """Read a line; its ``event`` is a string.

    Raises:
        ProtocolError: it is none of this protocol's.
    """
    try:
        message = json.loads(line if isinstance(line, str) else line.decode())  # of bytes it would guess the encoding
    except (ValueError, RecursionError):
        raise ProtocolError("a line that is no JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("event"), str):
        raise ProtocolError("a line without an event")
    return message


def read_addresses(message: dict[str, Any]) -> Addresses:
    """The content of ``broadcast_addresses``; what is no dotted quad with a port is passed over.

    Raises:
        ProtocolError: it has none.
    """
    addresses = _values(message.get("addresses"))
    if message["event"] != "broadcast_addresses" or addresses is None:
        raise ProtocolError(f"{message['event']!r} where the gateways' addresses were expected")
    every = tuple(dict.fromkeys(filter(is_gateway_address, addresses)))
    ours = frozenset(item for item in _values(message.get("tidegate")) or () if isinstance(item, str))
    return Addresses(every, ours.intersection(every))


def is_gateway_address(address: object) -> bool:
    """Whether it is a dotted quad and a port, as client ids are made from."""
    match = QUAD.fullmatch(address) if isinstance(address, str) else None
    return match is not None and max(map(int, match.groups()[:4])) < 256 and 0 < int(match[5]) < 65536


def _values(value: Any) -> list[Any] | None:
    """A JSON list's; an object's too, as PHP has it where a list has holes."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else None


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"

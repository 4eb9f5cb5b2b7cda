"""Client ids: a gateway's address, its inner port and a connection id as 20 hex digits (wire protocol, "Packet")."""

from __future__ import annotations

import re
import socket
import struct
from typing import NamedTuple

__all__ = ["ClientId", "format_client_id", "pack_ip", "parse_client_id", "unpack_ip"]

PATTERN = re.compile(r"[0-9a-f]{20}")


class ClientId(NamedTuple):
    """What a client id says.

    Attributes:
        address: ``host:port`` of the gateway's inner port.
        connection_id: the client's, unique in its gateway process.
    """

    address: str
    connection_id: int


def pack_ip(ip: str) -> int:
    """A dotted quad as the number in a packet's header.

    Raises:
        OSError: it is none.
    """
    return int(struct.unpack("!I", socket.inet_pton(socket.AF_INET, ip))[0])


def unpack_ip(number: int) -> str:
    """The dotted quad of a header's number."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def format_client_id(ip: int, port: int, connection_id: int) -> str:
    """Write a client id."""
    return f"{ip:08x}{port:04x}{connection_id:08x}"


def parse_client_id(client_id: str) -> ClientId:
    """Read a client id.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(client_id, str) or PATTERN.fullmatch(client_id) is None:
        raise ValueError(f"{client_id!r} is no client id: those have 20 hex digits, such as 7f0000010b5400000001")
    address = f"{unpack_ip(int(client_id[:8], 16))}:{int(client_id[8:12], 16)}"
    return ClientId(address, int(client_id[12:], 16))

"""The PROXY protocol, versions 1 and 2: what a proxy says of a client, before anything that the client says itself.

The format is HAProxy's (haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from tidegate.errors import ProtocolError
from tidegate.protocols.forwarded import Origin, plain

__all__ = ["MAX_HEADER_SIZE", "ProxyHeader", "read_proxy_header"]

MAX_HEADER_SIZE = 536
"""Bytes of a header of version 2 with what proxies add to it: the least that every path takes in one packet."""
MAX_LINE_SIZE = 107
"""Bytes of one of version 1, its end among them (section 2.1)."""
LINE_START = b"PROXY "
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED_SIZE = 16
LOCAL, PROXY = 0x20, 0x21  # version 2 and the command
ADDRESS_SIZES = {0x11: 4, 0x21: 16}
"""Bytes of an address of TCP over IPv4, and over IPv6."""
WITHOUT_ADDRESS = (0x00, 0x31)
"""Families that say no address and yet are right: unspecified, and a unix socket."""
PORT = re.compile(rb"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """One that was read.

    Attributes:
        size: bytes; what the client says begins behind them.
        origin: the client's address and port; None where the proxy speaks for itself, or does not know.
    """

    size: int
    origin: Origin | None


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header that a connection begins with.

    Args:
        data: all that came so far.

    Returns:
        None while there is not enough of it; then all of `data` belongs to the header.

    Raises:
        ProtocolError: it is none.
    """
    if data[: len(LINE_START)] == LINE_START[: len(data)]:
        return _read_line(data)
    if data[: len(SIGNATURE)] == SIGNATURE[: len(data)]:
        return _read_binary(data)
    raise ProtocolError("it does not begin with a PROXY header")


def _read_line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_LINE_SIZE)
    if end < 0:
        if len(data) >= MAX_LINE_SIZE:
            raise ProtocolError(f"a PROXY line over {MAX_LINE_SIZE} bytes")
        return None
    family, *rest = data[len(LINE_START) : end].split(b" ")
    if family == b"UNKNOWN":  # what follows has no meaning
        return ProxyHeader(end + 2, None)
    version = {b"TCP4": 4, b"TCP6": 6}.get(family)
    if version is None or len(rest) != 4:
        raise ProtocolError("a PROXY line that is none of TCP4, TCP6 and UNKNOWN")
    try:
        source, target = (ipaddress.ip_address(address.decode("ascii")) for address in rest[:2])
    except ValueError:
        raise ProtocolError("a PROXY line with an address that is none") from None
    if source.version != version or target.version != version or b"%" in rest[0] + rest[1]:
        raise ProtocolError("a PROXY line with an address of another family")
    if not all(PORT.fullmatch(port) and int(port) < 65536 for port in rest[2:]):
        raise ProtocolError("a PROXY line with a port that is none")
    return ProxyHeader(end + 2, (plain(source), int(rest[2])))


def _read_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < FIXED_SIZE:
        return None
    command, family = data[12], data[13]
    if command not in (LOCAL, PROXY):
        raise ProtocolError(f"a PROXY header of version {command >> 4} with the command {command & 15}")
    size = FIXED_SIZE + int.from_bytes(data[14:16])
    if size > MAX_HEADER_SIZE:
        raise ProtocolError(f"a PROXY header of {size} bytes, over {MAX_HEADER_SIZE}")
    if command == LOCAL or family in WITHOUT_ADDRESS:
        return ProxyHeader(size, None) if len(data) >= size else None
    width = ADDRESS_SIZES.get(family)
    if width is None:
        raise ProtocolError(f"a PROXY header of the family {family:#04x}, which is no TCP")
    if size < FIXED_SIZE + 2 * width + 4:
        raise ProtocolError("a PROXY header too short for its addresses")
    if len(data) < size:
        return None
    port_at = FIXED_SIZE + 2 * width
    source = ipaddress.ip_address(data[FIXED_SIZE : FIXED_SIZE + width])
    return ProxyHeader(size, (plain(source), int.from_bytes(data[port_at : port_at + 2])))

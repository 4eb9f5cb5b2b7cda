"""Where a client comes from, by what proxies say in `X-Forwarded-For` or `Forwarded` (RFC 7239).

Anybody may write such a header, and every proxy adds to what came. So it is read from its right end, as far as
those who wrote it are trusted; what stands further left the client may have made up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

__all__ = ["Origin", "TrustedProxies", "plain"]

Origin: TypeAlias = tuple[str, int]
"""An address and a port; 0 where the port is not known."""
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS = 16
"""Proxies in a row that are believed."""
LONGEST_NODE = 64
"""Characters of an address with brackets, port and blanks."""
KNOWN_PEERS = 256
"""Addresses for which is kept whether they are trusted: there are few proxies, and one asks for each client."""


class TrustedProxies:
    """Those whose word about clients' addresses is taken; the peers of a unix socket are among them.

    Args:
        networks: addresses and networks, such as ``10.0.0.0/8``.

    Raises:
        ValueError: one that is none.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        nets = [ipaddress.ip_network(network.strip(), strict=False) for network in networks]

        @lru_cache(KNOWN_PEERS)
        def trusts(ip: str) -> bool:
            try:
                address = ipaddress.ip_address(ip)
            except ValueError:
                return False
            return any(address in net for net in nets)

        self._trusts = trusts

    def __contains__(self, ip: str) -> bool:
        return not ip or self._trusts(ip)

    def origin(self, peer: Origin, headers: Mapping[str, str]) -> Origin:
        """Where a request comes from: the last address that a trusted proxy has named and that is none itself.

        Args:
            peer: who has sent it.
            headers: by name in lower case, repeated ones joined by a comma.
        """
        if peer[0] not in self:
            return peer
        listed = headers.get("x-forwarded-for")
        if listed is not None:
            nodes = _from_the_right(listed)
        elif (listed := headers.get("forwarded")) is not None:
            nodes = map(_for, _from_the_right(listed))
        else:
            return peer
        found = peer
        for text in islice(nodes, MAX_HOPS):
            node = _read_node(text)
            if node is None:
                break
            found = node
            if node[0] not in self:
                break
        return found


def plain(address: Address) -> str:
    """An address as text; IPv4 as such, also where IPv6 carries it."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def _from_the_right(text: str) -> Iterator[str]:
    """The elements of a list, the last one first. A comma inside quotes separates none; since they are counted from the
    right, quotes that a client left open reach into nothing that a proxy has added."""
    end = len(text)
    is_quoted = False
    for at in range(end - 1, -1, -1):
        if text[at] == '"':
            is_quoted = not is_quoted
        elif text[at] == "," and not is_quoted:
            yield text[at + 1 : end]
            end = at
    yield text[:end]


def _for(element: str) -> str:
    """The node that an element of `Forwarded` is about; empty where it names none."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value.strip().removeprefix('"').removesuffix('"')
    return ""


def _read_node(text: str) -> Origin | None:
    """Read an address with or without a port; None for what is none, such as ``unknown`` and ``_hidden``."""
    text = text.strip()
    if len(text) > LONGEST_NODE or "%" in text:
        return None
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536
    return plain(address), int(port) if is_port else 0

"""Addresses such as ``websocket://0.0.0.0:7272`` or ``unix:///run/app.sock``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from tidegate.errors import AddressError

__all__ = ["SCHEMES", "Address", "parse_address"]

SCHEMES = ("websocket", "text", "frame", "tcp", "udp", "unix", "http")
EXAMPLE = "'websocket://0.0.0.0:7272'"
HINTS = {"ws": "websocket", "wss": "websocket", "https": "http", "ssl": "tcp", "tls": "tcp"}

HOST_AND_PORT = re.compile(r"(\[(?P<ipv6>[^\]]*)\]|(?P<host>[^\[\]:/]*)):(?P<port>\d{1,5})/?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a worker listens.

    Attributes:
        scheme: one of `SCHEMES`.
        host: a name or an IP address, IPv6 without brackets; empty with `unix`.
        port: 0 for any free one; also 0 with `unix`.
        path: of a `unix` socket.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.scheme == "unix" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        AddressError: which says what is wrong and what would be right.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise AddressError(f"the address {text!r} has no protocol: write it like {EXAMPLE}")
    if scheme in HINTS:
        raise AddressError(
            f"the address {text!r} begins with {scheme}://: write {HINTS[scheme]}://, "
            "and for TLS pass ssl=(certificate file, key file)"
        )
    if scheme not in SCHEMES:
        raise AddressError(f"the address {text!r} names no known protocol: use one of {', '.join(SCHEMES)}")
    if scheme == "unix":
        if not rest.startswith("/"):
            raise AddressError(f"the address {text!r} needs an absolute path: write it like 'unix:///run/app.sock'")
        return Address(scheme, path=rest)
    match = HOST_AND_PORT.fullmatch(rest)
    if match is None:
        raise AddressError(f"the address {text!r} needs a host and a port: write it like {EXAMPLE}")
    host = match["ipv6"] if match["ipv6"] is not None else match["host"]
    port = int(match["port"])
    if port > 65535:
        raise AddressError(f"the address {text!r} has port {port}: the highest is 65535")
    return Address(scheme, host or "0.0.0.0", port)  # noqa: S104 - as everywhere, no host means all of them

"""Where the inner port of a gateway process is: the address that the cluster knows, and the one listened on."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence

from tidegate.errors import AddressError, ConfigurationError
from tidegate.net.address import Address
from tidegate.net.sockets import bind

__all__ = ["bind_inner", "resolve_lan_ip", "warn_if_open"]

logger = logging.getLogger("tidegate")


def resolve_lan_ip(name: str, lan_ip: str) -> str:
    """The dotted quad of a gateway's `lan_ip`.

    Raises:
        ConfigurationError: it is none that others could find this machine by.
    """
    try:
        found = socket.getaddrinfo(lan_ip, None, socket.AF_INET, socket.SOCK_STREAM)
        ip = str(found[0][4][0])
    except (OSError, UnicodeError):
        raise ConfigurationError(
            f"gateway {name!r}: lan_ip={lan_ip!r} is neither an IPv4 address nor a name that has one. "
            "It is part of every client id, where there is room for IPv4 only"
        ) from None
    address = ipaddress.ip_address(ip)
    if address.is_unspecified or address.is_multicast or ip == "255.255.255.255":
        raise ConfigurationError(
            f"gateway {name!r}: lan_ip={lan_ip!r} is no address that workers can connect to: give this machine's own, "
            "such as 10.0.0.5. To listen everywhere there is inner_listen='0.0.0.0'"
        )
    return ip


def bind_inner(name: str, inner_listen: str | None, lan_ip: str, port: int) -> list[socket.socket]:
    """Listen on the inner port.

    Raises:
        AddressError: it can't be had.
    """
    host = inner_listen
    if host is None:
        # A public address is often one that the machine itself does not have, behind a router.
        host = "0.0.0.0" if ipaddress.ip_address(lan_ip).is_global else lan_ip  # noqa: S104 - as documented
    try:
        return bind(Address("tcp", host, port))
    except AddressError as error:
        where = "lan_ip" if inner_listen is None else "inner_listen"
        raise AddressError(f"gateway {name!r}, inner port, of {where}= and start_port=: {error}") from error


def warn_if_open(name: str, sockets: Sequence[socket.socket], has_secret: bool) -> None:
    """Warn of an inner port without a secret that other machines may reach."""
    if has_secret:
        return
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        if not ipaddress.ip_address(host).is_loopback:
            logger.warning(
                "%s: NO SECRET: whoever reaches the inner port %s:%d can push to everybody and read every session. "
                "Set secret_key=, or TIDEGATE_SECRET_KEY, to the same text in the whole cluster",
                name,
                host,
                port,
            )

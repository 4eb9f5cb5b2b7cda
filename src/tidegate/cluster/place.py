"""Where a cluster is, as users write it: its Registers, or NATS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from tidegate.cluster.nats.url import NatsPlace, is_nats, parse_nats
from tidegate.errors import ConfigurationError

__all__ = ["check_place", "is_elsewhere", "parse_cluster", "read_cluster", "split_place"]

PLACE = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:/,\s]+)):(?P<port>[0-9]{1,5})")
EXAMPLE = "write host:port, such as '127.0.0.1:1236' or '[::1]:1236'"


def read_cluster(cluster: str | Sequence[str]) -> tuple[str, ...] | NatsPlace:
    """Read where a cluster is: its Registers as `parse_cluster` gives them, or NATS where it is made of such URLs.

    Raises:
        ConfigurationError: which says what is wrong and what would be right; some of both is.
    """
    if not is_nats(cluster):
        return parse_cluster(cluster)
    texts = (cluster,) if isinstance(cluster, str) else tuple(cluster)
    for part in (part for text in texts for part in str(text).split(",")):
        if not is_nats(part):
            shown = part.strip().rpartition("@")[2]
            raise ConfigurationError(
                f"the cluster names NATS servers, and {shown!r} besides: write nats:// before each server, or only "
                "Registers"
            )
    return parse_nats(cluster)


def check_place(cluster: str | Sequence[str]) -> tuple[str, ...] | NatsPlace:
    """As `read_cluster`, for who is going to start: the files that a URL of NATS names are looked at as well.

    Raises:
        ConfigurationError: as there, or one of them can't be used.
    """
    place = read_cluster(cluster)
    if isinstance(place, NatsPlace):
        from tidegate.cluster.nats.auth import check_files  # which most starts do without

        check_files(place)
    return place


def parse_cluster(cluster: str | Sequence[str]) -> tuple[str, ...]:
    """Read which Registers a cluster has: one ``host:port``, several with commas between, or a sequence of such.

    Returns:
        Each once, in the order given.

    Raises:
        ConfigurationError: which says what is wrong and what would be right.
    """
    texts = (cluster,) if isinstance(cluster, str) else tuple(cluster)
    places: list[str] = []
    for text in texts:
        if not isinstance(text, str):
            raise ConfigurationError(f"the cluster has {text!r}, which is no address of a Register: {EXAMPLE}")
        places += (part.strip() for part in text.split(","))
    if not any(places):
        raise ConfigurationError(f"the cluster has no Register: {EXAMPLE}")
    for place in places:
        _check(place)
    return tuple(dict.fromkeys(places))


def _check(place: str) -> None:
    if is_nats(place):
        shown = place.rpartition("@")[2]
        raise ConfigurationError(f"{shown!r} is NATS's, and a Register is needed here: {EXAMPLE}")
    scheme, _, rest = place.rpartition("://")
    if scheme:
        rest = rest.rpartition("@")[2] or "127.0.0.1:1236"  # no password that was meant for NATS
        raise ConfigurationError(
            f"the Register {f'{scheme}://{rest}'!r} has a protocol before its address: write {rest!r}, or nats:// for "
            "a cluster on NATS"
        )
    match = PLACE.fullmatch(place)
    if match is None:
        shown = place.rpartition("@")[2]
        raise ConfigurationError(
            f"the Register {shown!r} needs a host and a port: {EXAMPLE}; a cluster on NATS has a URL such as "
            "nats://127.0.0.1:4222"
        )
    if not 0 < int(match["port"]) < 65536:
        raise ConfigurationError(f"the Register {place!r} has port {match['port']}: ports go from 1 to 65535")
    try:
        if match["ipv6"] is not None:
            ipaddress.IPv6Address(match["ipv6"])
        else:
            match["host"].encode("idna")
    except ValueError:
        what = "no IPv6 address in its brackets" if match["ipv6"] is not None else "what can't be a host's name"
        raise ConfigurationError(f"the Register {place!r} has {what}: {EXAMPLE}") from None


def split_place(place: str) -> tuple[str, int]:
    """The host, without brackets, and the port of what `parse_cluster` gave."""
    host, _, port = place.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_elsewhere(place: str) -> bool:
    """Whether what `parse_cluster` gave may be on another machine."""
    host, _ = split_place(place)
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True

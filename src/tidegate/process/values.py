"""What kinds of value settings have: how each is read from the environment and checked.

A setting's declared type carries its kind: ``count: Annotated[int, whole(1)]``.
"""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.net.mutual import read_cluster_tls
from tidegate.net.origins import is_origin

__all__ = [
    "ADDRESSES",
    "AUTH",
    "CLUSTER_FILES",
    "ENCODING",
    "FILES",
    "MESSAGE",
    "NAMES",
    "ORIGINS",
    "NETWORKS",
    "SECRET",
    "SWITCH",
    "TEXT",
    "Kind",
    "one_of",
    "seconds",
    "whole",
]

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        complaint: what a wrong value's error says behind the value.
        is_right: whether a value can be used.
        read: makes a value of an environment variable; gives the text itself where it can't, to be refused then.
        keep: makes what is kept of a right value.
        is_secret: no error shows the value.
    """

    complaint: str
    is_right: Callable[[Any], bool]
    read: Callable[[str], Any] = str
    keep: Callable[[Any], Any] = lambda value: value
    is_secret: bool = False


def whole(least: int, most: int | None = None) -> Kind:
    """A whole number from the least, 0 or 1, to the most."""

    def is_right(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= (most or value)

    where = "above 0" if least else "that is not below 0"
    return Kind(
        f"it takes a whole number {where}" if most is None else f"it takes a whole number from {least} to {most}",
        is_right,
        lambda text: int(text) if re.fullmatch(r"[0-9]+", text) else text,
    )


def seconds(*, or_zero: bool) -> Kind:
    """A number of seconds, perhaps with a fraction."""

    def is_right(value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return value >= 0 and (or_zero or value > 0) and math.isfinite(value)

    return Kind(
        f"it takes a number of seconds {'that is not below 0' if or_zero else 'above 0'}",
        is_right,
        lambda text: float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text,
    )


def one_of(*choices: str, or_function: bool = False) -> Kind:
    """One of a few words; or a function, where that may be."""
    words = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
    return Kind(
        f"it takes {words}" + (" or a function" if or_function else ""),
        lambda value: (or_function and callable(value)) or (isinstance(value, str) and value in choices),
    )


def _read_switch(text: str) -> Any:
    return text.lower() in TRUE if text.lower() in (*TRUE, *FALSE) else text


def _read_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _is_encoding(value: Any) -> bool:
    try:
        "".encode(value)
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _are_addresses(value: Any) -> bool:
    addresses = (value,) if isinstance(value, str) else value
    return _are_names(addresses) and bool(addresses) and all(address.strip() for address in addresses)


def _are_networks(value: Any) -> bool:
    try:
        for item in value if _are_names(value) else ("no list",):
            ipaddress.ip_network(item.strip(), strict=False)
    except ValueError:
        return False
    return True


def _is_secret(value: Any) -> bool:
    if not isinstance(value, str) or '"' in value or "\\" in value:
        return False
    return not any(unicodedata.category(sign) in ("Cc", "Cs") for sign in value)


SWITCH = Kind("it takes true or false", lambda value: isinstance(value, bool), _read_switch)
TEXT = Kind("it takes a text", lambda value: isinstance(value, str) and bool(value))
MESSAGE = Kind("it takes a text or bytes", lambda value: isinstance(value, str | bytes))
ENCODING = Kind("Python has no such encoding", _is_encoding)
NAMES = Kind("it takes a list of names", _are_names, _read_list, tuple)
ORIGINS = Kind(
    "it takes a list of origins as browsers write them, such as 'https://example.com', 'https://example.com:8443' or "
    "'https://*.example.com'",
    lambda value: _are_names(value) and bool(value) and all(map(is_origin, value)),
    _read_list,
    tuple,
)
AUTH = Kind("it takes a function (handshake) -> Identity | None, or a JWTAuth", callable, is_secret=True)
NETWORKS = Kind('it takes a list of addresses and networks, such as ["10.0.0.0/8"]', _are_networks, _read_list, tuple)
FILES = Kind("it takes a certificate and its key", lambda _: True, _read_list)  # checked where they are opened
CLUSTER_FILES = Kind("", lambda _: True, _read_list, read_cluster_tls)  # which says by itself what is wrong
ADDRESSES = Kind(
    "it takes an address, host:port, or a list of them",
    _are_addresses,
    _read_list,
    lambda value: (value,) if isinstance(value, str) else tuple(value),
)
# PHP's peers put it into a line of JSON as it is (wire-protocol: Register).
SECRET = Kind('it takes a text without ", \\ and control characters', _is_secret, is_secret=True)

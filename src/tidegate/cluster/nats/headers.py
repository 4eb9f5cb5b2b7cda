"""The headers of NATS messages: a status that the server gives, and fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tidegate.errors import ProtocolError

__all__ = ["Headers", "encode_headers", "parse_headers"]

VERSION = b"NATS/1.0"
_name = re.compile(r"[!-9;-~]+")


class Headers(NamedTuple):
    """Of one message.

    Attributes:
        status: such as 503 where nobody listens; 0 where there is none.
        description: the server's words for it.
        fields: as they are written; of several with one name the first.
    """

    status: int
    description: str
    fields: dict[str, str]


def parse_headers(data: bytes) -> Headers:
    """Read them.

    Raises:
        ProtocolError: they are none.
    """
    first, *lines = data.split(b"\r\n")
    if not first.startswith(VERSION) or lines[-2:] != [b"", b""]:
        raise ProtocolError("headers that do not begin with NATS/1.0 or do not end")
    number, _, description = first[len(VERSION) :].strip().partition(b" ")
    if number and not (number.isdigit() and len(number) == 3):
        raise ProtocolError("headers with a status that is no number of three digits")
    fields: dict[str, str] = {}
    for line in lines[:-2]:
        name, colon, value = line.partition(b":")
        if not colon or not name:
            raise ProtocolError("a header without a name")
        fields.setdefault(name.decode("utf-8", "replace"), value.strip().decode("utf-8", "replace"))
    return Headers(int(number or 0), description.strip().decode("utf-8", "replace"), fields)


def encode_headers(fields: Mapping[str, str]) -> bytes:
    """Their bytes.

    Raises:
        ValueError: a name or a value would break them.
    """
    lines = [VERSION.decode()]
    for name, value in fields.items():
        if not _name.fullmatch(name) or "\r" in value or "\n" in value:
            raise ValueError(f"a header named {name!r} that would break the others")
        lines.append(f"{name}: {value}")
    return "\r\n".join((*lines, "", "")).encode()

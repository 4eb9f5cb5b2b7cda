"""Query strings as PHP reads them: what web programs that were written for it send."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

__all__ = ["parse_str"]

MAX_VARIABLES = 1000
"""Of a query, the others are left out, as with PHP's max_input_vars."""
MAX_DEPTH = 63
"""Keys inside one another, over which a variable is left out: PHP takes one or two more, and then could not serialize
the whole for Tidegate's workers to read."""
BRACKETS = re.compile(rb"\[(\s?)([^\]]*)\]")
INDEX = re.compile(rb"0|[1-9][0-9]{0,17}")


class Array(dict[bytes, Any]):
    """One of PHP's as it is filled.

    Attributes:
        free: the key that `[]` takes next.
    """

    __slots__ = ("free",)

    def __init__(self) -> None:
        super().__init__()
        self.free = 0

    def put(self, key: bytes, value: Any) -> None:
        if INDEX.fullmatch(key):
            self.free = max(self.free, int(key) + 1)
        self[key] = value


def parse_str(query: bytes) -> dict[bytes, Any]:
    """A query string as PHP's function of that name reads it: ``a[]=1&a[k]=2`` nests, the last of a name wins."""
    found = Array()
    for part in query.split(b"&", MAX_VARIABLES)[:MAX_VARIABLES]:
        name, _, value = part.partition(b"=")
        key = unquote_to_bytes(name.replace(b"+", b" ")).lstrip(b" ").partition(b"\0")[0]
        if key and not key.startswith(b"["):
            _put(found, _path(key), unquote_to_bytes(value.replace(b"+", b" ")))
    return found


def _path(key: bytes) -> list[bytes | None]:
    """The keys one inside the other; None is the next free one."""
    head, bracket, _ = key.partition(b"[")
    path: list[bytes | None] = [re.sub(rb"[ .]", b"_", head)]
    position = len(head)
    while bracket and (match := BRACKETS.match(key, position)):
        path.append(match[1] + match[2] if match[2] else None)
        position = match.end()
    if bracket and len(path) == 1:  # a bracket that is never closed
        return [re.sub(rb"[ .\[]", b"_", key)]
    return path


def _put(found: Array, path: list[bytes | None], value: bytes) -> None:
    if len(path) > MAX_DEPTH:
        return
    at = found
    for key in path[:-1]:
        name = b"%d" % at.free if key is None else key
        inner = at.get(name)
        if not isinstance(inner, Array):
            inner = Array()
            at.put(name, inner)
        at = inner
    at.put(b"%d" % at.free if path[-1] is None else path[-1], value)

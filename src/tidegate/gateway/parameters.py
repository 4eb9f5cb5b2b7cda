"""What stands in the ext data of commands: names, and JSON lists of names and of connection ids.

PHP writes a list as an object where its keys have holes, and numbers for names that are numbers; both are read (wire
protocol, "To a gateway").
"""

from __future__ import annotations

import json
from typing import Any

from tidegate.wire.packet import MAX_NAME_SIZE

__all__ = ["CommandError", "check_name", "keys", "names", "read_json", "read_object", "values"]


class CommandError(ValueError):
    """A command that can't be carried out as it came."""


def read_json(ext: bytes) -> Any:
    """Read ext data.

    Raises:
        CommandError: it is no JSON.
    """
    try:
        return json.loads(ext, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise CommandError("ext data that is no JSON") from None


def _no_number(text: str) -> None:
    """NaN and Infinity, which Python would read, are no JSON."""
    raise ValueError(text)


def read_object(ext: bytes) -> dict[str, Any]:
    """Read ext data that is an object; PHP writes an empty one as a list.

    Raises:
        CommandError: it is none.
    """
    what = read_json(ext)
    if isinstance(what, dict):
        return what
    if what == []:
        return {}
    raise CommandError("ext data that is no object")


def check_name(name: bytes) -> bytes:
    """Give a uid or a group that is to be kept.

    Raises:
        CommandError: it is too long.
    """
    if len(name) > MAX_NAME_SIZE:
        raise CommandError(f"a name of {len(name)} bytes, over the {MAX_NAME_SIZE} that it may have")
    return name


def names(value: Any) -> list[bytes]:
    """A list of uids or groups, each once, in its order.

    Raises:
        CommandError: it is none.
    """
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        raise CommandError("no list of names where one was expected")
    return list(dict.fromkeys(_name(item) for item in value))


def _name(item: Any) -> bytes:
    if isinstance(item, str):
        try:
            return item.encode()
        except UnicodeEncodeError:
            raise CommandError("a name that is no Unicode text") from None
    if isinstance(item, int | float) and not isinstance(item, bool):
        return str(int(item) if isinstance(item, float) and item.is_integer() else item).encode()
    raise CommandError("a name that is neither text nor a number")


def values(value: Any) -> list[int]:
    """Connection ids that are the values of a list or an object.

    Raises:
        CommandError: it is neither.
    """
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        raise CommandError("no list of connection ids where one was expected")
    return [number for item in items if (number := _number(item))]


def keys(value: Any) -> set[int]:
    """Connection ids that are the keys of an object; of a list, its positions, as PHP has them. None has none.

    Raises:
        CommandError: it is neither.
    """
    if value is None:
        return set()
    if isinstance(value, list):
        return set(range(len(value)))
    if isinstance(value, dict):
        return {number for key in value if (number := _number(key))}
    raise CommandError("no object of connection ids where one was expected")


def _number(item: Any) -> int:
    """A connection id; 0, which nobody has, for what is none."""
    if isinstance(item, bool):
        return 0
    if isinstance(item, int):
        return item
    return int(item) if isinstance(item, str) and item.isascii() and item.isdigit() and len(item) <= 10 else 0

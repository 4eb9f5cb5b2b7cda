"""The usual session, read and written in few steps: an array of a few short texts and numbers (see `php`).

One regular expression finds all pairs of keys and values. What is more than is taken here, or malformed, is answered
with None: `php` looks closely then. So nothing here may take what that would not, nor take it for something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["dumps_items", "loads", "loads_from", "split"]

PAIR = re.compile(
    rb'(s:(0|[1-9][0-9]{0,3}):"((?![-0-9])[^"]*)";|i:(0|-?[1-9][0-9]{0,17});)'
    rb'(s:([0-9]{1,4}):"([^"]*)";|i:(-?[0-9]{1,18});|N;|b:[01];)'
)
"""Key, the length of its text, its text, its number; value, the length of its text, its text, its number. Text that may
be a number is no key here, and neither is a number that is not written as PHP does."""
COUNTS = {b"a:%d:" % count: count for count in range(64)}
LENGTHS = {b"%d" % length: length for length in range(512)}
CONSTANTS = {None: b"N;", False: b"b:0;", True: b"b:1;"}
VALUES = {text: value for value, text in CONSTANTS.items()}
INT_LIMIT = 2**63
MAX_SIZE = 8192
"""Bytes; all pairs are found at once, before it is seen whether there are as many as there should be."""


def split(data: bytes) -> dict[bytes, bytes] | None:
    """Do what `php.split_array` does."""
    at = data.find(b"{", 3, 6) + 1
    count = COUNTS.get(data[: at - 1])
    if count is None or len(data) > MAX_SIZE:
        return None
    array: dict[bytes, bytes] = {}
    for key, length, name, _, value, size, text, _ in PAIR.findall(data, at):
        if (length and LENGTHS.get(length) != len(name)) or (size and LENGTHS.get(size) != len(text)):
            return None
        array[key] = value
        at += len(key) + len(value)
        count -= 1
    # Nothing was passed over, and nothing is left but the end.
    return array if not count and data[at:] == b"}" else None


def loads(data: bytes) -> dict[Any, Any] | None:
    """Do what `php.loads_array` does."""
    at = data.find(b"{", 3, 6) + 1
    count = COUNTS.get(data[: at - 1])
    if count is None or len(data) > MAX_SIZE:
        return None
    items: dict[Any, Any] = {}
    try:
        for key, length, name, number, value, size, text, integer in PAIR.findall(data, at):
            if (length and LENGTHS.get(length) != len(name)) or (size and LENGTHS.get(size) != len(text)):
                return None
            items[name.decode() if length else int(number)] = (
                int(integer) if integer else text.decode() if size else VALUES[value]
            )
            at += len(key) + len(value)
            count -= 1
    except UnicodeDecodeError:
        return None
    return items if not count and data[at:] == b"}" else None


def loads_from(data: bytes, at: int) -> tuple[dict[Any, Any], int] | None:
    """Read an array that begins at a place within others; gives where it ends, too.

    Nothing is looked at twice, nor beyond the first pair that is not taken here.
    """
    start = data.find(b"{", at + 3, at + 6) + 1
    count = COUNTS.get(data[at : start - 1])
    if count is None:
        return None
    at = start
    items: dict[Any, Any] = {}
    match_pair = PAIR.match
    try:
        for _ in range(count):
            match = match_pair(data, at)
            if match is None:
                return None
            _, length, name, number, value, size, text, integer = match.groups()
            if (length and LENGTHS.get(length) != len(name)) or (size and int(size) != len(text)):
                return None
            items[name.decode() if length else int(number)] = (
                int(integer) if integer else text.decode() if size else VALUES[value]
            )
            at = match.end()
    except UnicodeDecodeError:
        return None
    return (items, at + 1) if data[at : at + 1] == b"}" else None


def dumps_items(array: Mapping[Any, Any]) -> dict[bytes, bytes] | None:
    """Do what `php.dumps_items` does."""
    packed: dict[bytes, bytes] = {}
    try:
        for key, value in array.items():
            if type(key) is not str or key < ":":  # what begins with a lower character may be a number
                return None
            kind = type(value)
            if kind is int and -INT_LIMIT < value < INT_LIMIT:
                item = b"i:%d;" % value
            elif kind is str:
                data = value.encode()
                item = b's:%d:"%s";' % (len(data), data)
            elif value is None or kind is bool:
                item = CONSTANTS[value]
            else:
                return None
            data = key.encode()
            packed[b's:%d:"%s";' % (len(data), data)] = item
    except UnicodeEncodeError:
        return None
    return packed

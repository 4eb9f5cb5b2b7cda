"""PHP's serialized values (wire protocol, "PHP values"): null, booleans, integers, floats, strings and arrays.

Objects and references are refused: nothing is ever built from what a peer names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from tidegate.errors import TidegateError
from tidegate.wire import flat

__all__ = [
    "MAX_DEPTH",
    "Array",
    "PHPValueError",
    "Tree",
    "dump_bytes",
    "dumps",
    "dumps_items",
    "dumps_key",
    "join_array",
    "join_tree",
    "loads",
    "loads_array",
    "split_array",
    "split_tree",
]

MAX_DEPTH = 64
"""Arrays inside one another."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
FIXED_DIGITS = 17
"""Digits before the point up to which PHP writes a float without an exponent (serialize_precision -1)."""
DECIMAL_KEY = re.compile(r"0|-?[1-9][0-9]{0,18}")
"""None begins with a character above "9", which is quicker to see for most keys."""
INTEGER = re.compile(rb"i:(-?[0-9]{1,20});")
FLOAT = re.compile(rb"d:([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NAN);")
LENGTH = re.compile(rb's:([0-9]{1,10}):"')
COUNT = re.compile(rb"a:([0-9]{1,10}):\{")
MAPPINGS = dict, Mapping
"""A dict is seen to be one without the lookup that an abstract class costs."""
CONTAINERS = list, tuple, *MAPPINGS
SMALLEST_ITEM = len(b"i:0;N;")

Array: TypeAlias = dict[bytes, bytes]
"""A serialized array taken apart at its top level: serialized keys and values."""
Tree: TypeAlias = "dict[bytes, bytes | Tree]"
"""A serialized array taken apart, and all arrays in it: serialized keys and scalars."""


class PHPValueError(TidegateError, ValueError):
    """Bytes that are no serialized value, or none that is taken here."""


def dumps(value: Any) -> bytes:
    """Serialize a value: None, bool, int, float, str, bytes, list, tuple, or a mapping.

    Raises:
        TypeError: it has no serialized form, or is nested too deep.
        OverflowError: an integer has more than 64 bits.
    """
    out: list[bytes] = []
    _dump(value, out.append, 0)
    return b"".join(out)


def _dump(value: Any, write: Any, depth: int) -> None:
    if isinstance(value, str):
        write(dump_bytes(_encode(value)))
    elif value is None:
        write(b"N;")
    elif isinstance(value, bool):
        write(b"b:1;" if value else b"b:0;")
    elif isinstance(value, int):
        write(_integer(value))
    elif isinstance(value, float):
        write(b"d:%s;" % _float(value))
    elif isinstance(value, bytes | bytearray):
        write(dump_bytes(bytes(value)))
    elif isinstance(value, CONTAINERS):
        if depth == MAX_DEPTH:
            raise TypeError(f"a value nested deeper than {MAX_DEPTH} can't be serialized")
        if isinstance(value, MAPPINGS):
            items = {dumps_key(key): item for key, item in value.items()}
        else:
            items = {_integer(key): item for key, item in enumerate(value)}
        write(b"a:%d:{" % len(items))
        for key, item in items.items():
            write(key)
            _dump(item, write, depth + 1)
        write(b"}")
    else:
        raise TypeError(f"{type(value).__name__} can't be serialized for PHP: use None, bool, int, float, str or bytes")


def dumps_key(key: object) -> bytes:
    """Serialize an array's key: text that is a decimal integer as PHP writes it becomes an integer.

    Raises:
        TypeError: it is neither text, bytes nor an integer.
        OverflowError: it has more than 64 bits.
    """
    if isinstance(key, str):
        if key[:1] <= "9" and DECIMAL_KEY.fullmatch(key) and INT_MIN <= int(key) <= INT_MAX:
            return b"i:%s;" % key.encode()
        return dump_bytes(_encode(key))
    if isinstance(key, int):
        return _integer(int(key))
    if isinstance(key, bytes):
        return dumps_key(key.decode()) if key[:1] <= b"9" and key.isascii() else dump_bytes(key)
    raise TypeError(f"{key!r} can't be a key of a PHP array: use str or int")


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TypeError(f"text that is no Unicode can't be serialized: {error.reason}") from None


def dump_bytes(data: bytes) -> bytes:
    """Serialize bytes, with the steps that this takes alone."""
    return b's:%d:"%s";' % (len(data), data)


def _integer(value: int) -> bytes:
    if not INT_MIN <= value <= INT_MAX:
        raise OverflowError(f"{value} has more than the 64 bits of an integer in PHP")
    return b"i:%d;" % value


def _float(value: float) -> bytes:
    """As PHP writes it: the shortest digits that give the same float again, with an exponent where it is large."""
    if math.isnan(value):
        return b"NAN"
    if math.isinf(value):
        return b"INF" if value > 0 else b"-INF"
    parts = Decimal(repr(value)).normalize().as_tuple()
    minus = "-" if parts.sign else ""
    digits = "".join(map(str, parts.digits))
    point = len(digits) + int(parts.exponent)  # digits before the point
    if digits == "0":
        text = "0"
    elif not -4 < point <= FIXED_DIGITS:
        text = f"{digits[0]}.{digits[1:] or '0'}E{point - 1:+d}"
    elif point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
        text = f"{whole}.{fraction}" if fraction else whole
    return (minus + text).encode()


def loads(data: bytes) -> Any:
    """Read a serialized value.

    Returns:
        Arrays whose keys are 0, 1, 2 … in order as lists, others as dicts; strings as `str`, or `bytes` where they
        are no UTF-8.

    Raises:
        PHPValueError: it is none, has an object or a reference, is nested too deep, or has bytes behind it.
    """
    value, end = _value(data, 0, 0)
    _check_end(data, end)
    return value


def loads_array(data: bytes) -> dict[Any, Any]:
    """Read a serialized array as a dict, whatever its keys are.

    Raises:
        PHPValueError: as with `loads`, and where it is no array.
    """
    if (array := flat.loads(data)) is not None:
        return array
    if data[:2] != b"a:":
        raise PHPValueError("a serialized value that is no array")
    value, end = _items(data, 0, 0)
    _check_end(data, end)
    return value


def _check_end(data: bytes, end: int) -> None:
    if end != len(data):
        raise PHPValueError(f"a serialized value with {len(data) - end} bytes behind it")


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    kind = data[at : at + 2]
    if kind == b"s:":
        raw, end = _bytes(data, at)
        return _text(raw), end
    if kind == b"a:":
        items, end = (depth < MAX_DEPTH and flat.loads_from(data, at)) or _items(data, at, depth)
        if all(key == position for position, key in enumerate(items)):
            return list(items.values()), end
        return items, end
    if kind == b"i:":
        return _int(data, at)
    if kind == b"N;":
        return None, at + 2
    end = _skip_plain(data, at)
    text = data[at + 2 : end - 1]
    if kind == b"b:":
        return text == b"1", end
    return float(text), end


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _items(data: bytes, at: int, depth: int) -> tuple[dict[Any, Any], int]:
    count, at = _open(data, at, depth)
    items: dict[Any, Any] = {}
    for _ in range(count):
        key, at = _key(data, at)
        items[key], at = _value(data, at, depth + 1)
    return items, _close(data, at)


def _key(data: bytes, at: int) -> tuple[int | str | bytes, int]:
    if data[at : at + 2] == b"i:":
        return _int(data, at)
    raw, end = _bytes(data, at)
    key = _text(raw)
    if raw[:1] <= b"9" and isinstance(key, str) and DECIMAL_KEY.fullmatch(key) and INT_MIN <= int(key) <= INT_MAX:
        return int(key), end
    return key, end


def _int(data: bytes, at: int) -> tuple[int, int]:
    match = INTEGER.match(data, at)
    if match is None or not INT_MIN <= (value := int(match[1])) <= INT_MAX:
        raise _malformed(data, at)
    return value, match.end()


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    match = LENGTH.match(data, at)
    if match is None:
        raise _malformed(data, at)
    start = match.end()
    end = start + int(match[1])
    if data[end : end + 2] != b'";':
        raise PHPValueError(f"a serialized string at byte {at} that does not end where it says")
    return data[start:end], end + 2


def _open(data: bytes, at: int, depth: int) -> tuple[int, int]:
    if depth >= MAX_DEPTH:
        raise PHPValueError(f"a serialized value nested deeper than {MAX_DEPTH}")
    match = COUNT.match(data, at)
    if match is None:
        raise _malformed(data, at)
    count = int(match[1])
    if count * SMALLEST_ITEM > len(data) - match.end():
        raise PHPValueError(f"a serialized array at byte {at} that has fewer items than it says")
    return count, match.end()


def _close(data: bytes, at: int) -> int:
    if data[at : at + 1] != b"}":
        raise _malformed(data, at)
    return at + 1


def _skip_plain(data: bytes, at: int) -> int:
    """The end of a boolean or a float."""
    if data[at : at + 4] in (b"b:0;", b"b:1;"):
        return at + 4
    match = FLOAT.match(data, at)
    if match is None:
        raise _malformed(data, at)
    return match.end()


def _malformed(data: bytes, at: int) -> PHPValueError:
    kind = data[at : at + 2]
    if kind in (b"O:", b"C:", b"E:"):
        return PHPValueError(f"a serialized object at byte {at}: those are not taken")
    if kind in (b"r:", b"R:"):
        return PHPValueError(f"a serialized reference at byte {at}: those are not taken")
    return PHPValueError(f"no serialized value at byte {at}: {data[at : at + 12]!r}")


# Arrays taken apart and put together without decoding what is in them.


def split_array(data: bytes) -> Array:
    """Take a serialized array apart at its top level.

    Raises:
        PHPValueError: as with `loads_array`.
    """
    if (array := flat.split(data)) is not None:
        return array
    array, end = _split(data, 0, 0)
    _check_end(data, end)
    return array


def join_array(array: Mapping[bytes, bytes]) -> bytes:
    """Put together what `split_array` gave."""
    if len(array) == 1:  # what a patch most often is
        ((key, value),) = array.items()
        return b"a:1:{" + key + value + b"}"
    return b"a:%d:{%s}" % (len(array), b"".join([key + value for key, value in array.items()]))


def dumps_items(array: Mapping[Any, Any]) -> Array:
    """Serialize the keys and values of a mapping, each for itself.

    Raises:
        TypeError, OverflowError: as with `dumps`.
    """
    items = flat.dumps_items(array)
    return {dumps_key(key): dumps(value) for key, value in array.items()} if items is None else items


def _split(data: bytes, at: int, depth: int) -> tuple[Array, int]:
    count, at = _open(data, at, depth)
    array: Array = {}
    for _ in range(count):
        key, at = _key(data, at)
        end = _skip(data, at, depth + 1)
        array[dumps_key(key)] = data[at:end]
        at = end
    return array, _close(data, at)


def split_tree(data: bytes) -> Tree:
    """Take a serialized array apart, and all arrays in it.

    Raises:
        PHPValueError: as with `loads_array`.
    """
    tree, end = _split_all(data, 0, 0)
    _check_end(data, end)
    return tree


def join_tree(tree: Tree) -> bytes:
    """Put together what `split_tree` gave."""
    out: list[bytes] = []
    _join_all(tree, out.append)
    return b"".join(out)


def _split_all(data: bytes, at: int, depth: int) -> tuple[Tree, int]:
    count, at = _open(data, at, depth)
    tree: Tree = {}
    for _ in range(count):
        key, at = _key(data, at)
        name = dumps_key(key)
        if data[at : at + 2] == b"a:":
            tree[name], at = _split_all(data, at, depth + 1)
        else:
            end = _skip(data, at, depth + 1)
            tree[name] = data[at:end]
            at = end
    return tree, _close(data, at)


def _join_all(tree: Tree, write: Any) -> None:
    write(b"a:%d:{" % len(tree))
    for key, value in tree.items():
        write(key)
        if isinstance(value, bytes):
            write(value)
        else:
            _join_all(value, write)
    write(b"}")


def _skip(data: bytes, at: int, depth: int) -> int:
    """The end of a value."""
    kind = data[at : at + 2]
    if kind == b"a:":
        count, at = _open(data, at, depth)
        for _ in range(count):
            _, at = _key(data, at)
            at = _skip(data, at, depth + 1)
        return _close(data, at)
    if kind == b"s:":
        return _bytes(data, at)[1]
    if kind == b"i:":
        return _int(data, at)[1]
    if kind == b"N;":
        return at + 2
    return _skip_plain(data, at)

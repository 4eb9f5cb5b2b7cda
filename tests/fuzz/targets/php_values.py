"""PHP's serialized values, sessions that are made of them, and query strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tests.wire.support import vectors
from tidegate.wire import flat, php
from tidegate.wire.php import PHPValueError
from tidegate.wire.query_string import parse_str
from tidegate.wire.session import Patcher, diff, merge, pack_patch

__all__ = ["TARGETS", "read_array"]


def run_values(data: bytes) -> None:
    """Bytes are a value that can be written and read again, or an error; all ways to read them agree."""
    try:
        value = php.loads(data)
    except PHPValueError:
        value = None
        assert all(read_array(data, read) is None for read in (php.loads_array, php.split_array, php.split_tree))
    else:
        written = php.dumps(value)
        assert same(php.loads(written), value)
        assert php.dumps(php.loads(written)) == written
        assert isinstance(value, list | dict) == (read_array(data, php.loads_array) is not None)
    check_parts(data, value)


def check_parts(data: bytes, value: Any) -> None:
    array = read_array(data, php.loads_array)
    parts, tree = read_array(data, php.split_array), read_array(data, php.split_tree)
    if array is None or parts is None or tree is None:
        assert array is parts is tree is None
        return
    items = array.values() if isinstance(value, dict) else value
    assert same(list(array.values()), list(items))
    assert same([php.loads(part) for part in parts.values()], list(array.values()))
    assert same(php.loads_array(php.join_array(parts)), array)
    assert same(php.loads_array(php.join_tree(tree)), array)
    quick, slow = flat.loads(data), php._items(data, 0, 0)
    assert quick is None or same(quick, slow[0])
    from_middle = flat.loads_from(b"i:1;" + data, 4)
    assert from_middle is None or (same(from_middle[0], slow[0]) and from_middle[1] == slow[1] + 4)
    taken = flat.split(data)
    assert taken is None or taken == php._split(data, 0, 0)[0]
    quick_items = flat.dumps_items(array)
    assert quick_items is None or quick_items == {php.dumps_key(key): php.dumps(item) for key, item in array.items()}


def read_array(data: bytes, read: Any = php.loads_array) -> Any:
    """What is read, or None where it is no array."""
    try:
        return read(data)
    except PHPValueError:
        return None


def same(one: Any, other: Any) -> bool:
    """Whether values are the same, in their types and their order and where they are no number, too."""
    return repr(one) == repr(other)


def run_sessions(data: bytes) -> None:
    """A merge and a patch do what they would with the values themselves, and raise nothing but one error."""
    source = Source(data)
    patcher = Patcher()
    stored = last = b""
    while not source.is_empty:
        kind, ext, body = source.number(4), source.piece(), source.piece()
        try:
            if kind == 0:
                last = merge(stored, ext)
                check_merge(stored, ext, last)
            elif kind == 1:
                last = patcher.patch(stored, ext, body)
                assert Patcher().patch(stored, ext, body) == last
            elif kind == 2:
                last = check_diff(stored, ext)
            else:
                last = ext
        except PHPValueError:
            continue
        stored = last


def check_merge(old: bytes, update: bytes, merged: bytes) -> None:
    if not old:
        assert merged == update
        return
    assert same(php.loads_array(merged), replaced(read_tree(old), read_tree(update)))


def read_tree(data: bytes) -> Any:
    """All arrays in it as dicts, a list as well."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            value = dict(enumerate(value))
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    return plain(php.loads_array(data))


def replaced(old: dict[Any, Any], update: dict[Any, Any]) -> Any:
    """array_replace_recursive, as an array is read."""
    found = {**old}
    for key, value in update.items():
        is_array = isinstance(value, dict) and isinstance(old.get(key), dict)
        found[key] = _deep(old[key], value) if is_array else value
    return {key: as_read(value) for key, value in found.items()}


def _deep(old: dict[Any, Any], update: dict[Any, Any]) -> dict[Any, Any]:
    found = {**old}
    for key, value in update.items():
        is_array = isinstance(value, dict) and isinstance(old.get(key), dict)
        found[key] = _deep(old[key], value) if is_array else value
    return found


def as_read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: as_read(item) for key, item in value.items()}
    return list(items.values()) if list(items) == list(range(len(items))) else items


def check_diff(before: bytes, after: bytes) -> bytes:
    """Patch with a difference, and see that it makes what is after."""
    array = php.loads_array(after)
    patch = diff(before, array)
    if patch is None:
        return before
    patched = Patcher().patch(before, *patch)
    found = php.loads_array(patched) if patched else {}
    assert {repr(key): repr(value) for key, value in found.items()} == {
        repr(key): repr(value) for key, value in array.items()
    }
    return patched


def run_query(data: bytes) -> None:
    """Any query makes values that can be sent to a worker and read there."""
    found = parse_str(data)
    written = php.dumps(found)
    assert len(php.loads_array(written)) == len(found) <= 1000


def values() -> Iterator[bytes]:
    recorded = vectors("php_serialize")
    yield from (bytes.fromhex(item["serialized_hex"]) for item in recorded["values"])
    yield from (bytes.fromhex(item["hex"]) for item in recorded["malformed"])
    yield from (item["old"].encode() for item in vectors("session_merge"))
    yield b"a:1:{i:0;" * 64 + b"N;" + b"}" * 64


def sessions() -> Iterator[bytes]:
    for item in vectors("session_merge"):
        old, update = item["old"].encode(), item["update"].encode()
        if len(old) < 256 and len(update) < 256:
            for kind in b"\0\1\2":
                yield b"\3%c%s\0%c%c%s\2[]" % (len(old), old, kind, len(update), update)
    some = b'a:2:{s:1:"a";i:1;s:1:"b";d:0.1;}'
    changed, gone = pack_patch({b's:1:"c";': b"N;"}, [b's:1:"a";', b"i:7;"])
    yield b"\3%c%s\0\1%c%s%c%s" % (len(some), some, len(changed), changed, len(gone), gone)


TARGETS = (
    Target("php-values", run_values, values),
    Target("sessions", run_sessions, sessions),
    Target("query-string", run_query, lambda: [b"a=1&b[]=2&b[k][]=3&a+b=%E7%9B%B4", b"a[b=1&[c]=2&a.b=3&&=&%00=1"]),
)

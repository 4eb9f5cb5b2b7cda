"""Sessions: serialized arrays that a gateway keeps as bytes (wire protocol, "Sessions are bytes to a gateway").

Merging and patching move serialized values about without decoding them, so that a float keeps its digits and a key its
place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tidegate.wire import php

__all__ = ["Patcher", "compare", "diff", "merge", "pack_patch"]

NO_KEYS = b"[]"
"""What a patch most often deletes."""


def merge(session: bytes, update: bytes) -> bytes:
    """Merge as PHP's `array_replace_recursive` does; where no session is, the update is it.

    Raises:
        PHPValueError: either is no serialized array, or has an object.
    """
    changes = php.split_tree(update)
    if not session:
        return update
    merged = php.split_tree(session)
    _merge(merged, changes)
    return php.join_tree(merged)


def _merge(tree: php.Tree, changes: php.Tree) -> None:
    for key, value in changes.items():
        old = tree.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        else:
            tree[key] = value


def diff(before: bytes, after: Mapping[Any, Any]) -> tuple[bytes, bytes] | None:
    """What a handler changed: ext data and body of PATCH_SESSION; None where nothing.

    Args:
        before: the session as it was, serialized; empty where there was none.
        after: as it is now.

    Raises:
        TypeError, OverflowError: it can't be serialized.
        PHPValueError: what was before is no serialized array, or has an object.
    """
    _, changed, gone = compare(before, php.dumps_items(after))
    return pack_patch(changed, gone) if changed or gone else None


def compare(before: bytes, new: php.Array, known: php.Array | None = None) -> tuple[php.Array, php.Array, list[bytes]]:
    """What was there, what of it is another value now, and which keys are gone; keys and values serialized.

    Where nothing is changed, what was there may be left out: it is not looked at closely then.

    Args:
        new: what is there now.
        known: what was there, where it has been taken apart already.

    Raises:
        PHPValueError: as with `diff`.
    """
    old = known
    if old is None:
        if php.join_array(new) == before:
            return {}, {}, []
        old = php.split_array(before) if before else {}
    changed = {
        key: value
        for key, value in new.items()
        if (was := old.get(key)) != value and (was is None or b"d:" not in was or not _is_same(was, value))
    }
    return old, changed, [] if old.keys() <= new.keys() else [key for key in old if key not in new]


def _is_same(old: bytes, new: bytes) -> bool:
    """Whether a value is what it was; PHP may have written a float with more digits than are needed."""
    return php.dumps(php.loads(old)) == new


def pack_patch(changed: Mapping[bytes, bytes], gone: list[bytes]) -> tuple[bytes, bytes]:
    """Ext data and body of PATCH_SESSION from serialized keys and values.

    A key that is no UTF-8 can't be written in JSON; its bytes are written as the characters U+DC80 to U+DCFF.
    """
    if not gone:
        return php.join_array(changed), NO_KEYS
    names = [
        key if isinstance(key, int | str) else key.decode("utf-8", "surrogateescape") for key in map(php.loads, gone)
    ]
    return php.join_array(changed), json.dumps(names).encode()


class Patcher:
    """Carries out PATCH_SESSION.

    The session that it made last it keeps taken apart: a client that is busy is patched several times in a row, and the
    many that are idle keep no more than their bytes.
    """

    __slots__ = ("_array", "_last")

    def __init__(self) -> None:
        self._last = b""
        self._array: php.Array = {}

    def patch(self, session: bytes, changed: bytes, gone: bytes) -> bytes:
        """Set top-level keys, delete others; an empty array becomes no session.

        Args:
            changed: ext data, a serialized map.
            gone: body, a JSON list of keys.

        Raises:
            PHPValueError: one of the three is none.
        """
        keys = () if gone == NO_KEYS else _read_keys(gone)
        new = php.split_array(changed)
        if session is not self._last:
            self._array = php.split_array(session) if session else {}
        array = self._array
        for key in keys:
            array.pop(key, None)
        array.update(new)
        self._last = php.join_array(array) if array else b""
        return self._last


def _read_keys(gone: bytes) -> list[bytes]:
    try:
        names = json.loads(gone) if gone else []
        if not isinstance(names, list):
            raise TypeError
        keys = (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name for name in names)
        return [php.dumps_key(key) for key in keys]
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise php.PHPValueError("a patch of a session without a list of keys to delete") from None

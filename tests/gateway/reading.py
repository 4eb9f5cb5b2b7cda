"""What a gateway sends, in the form in which a model of it has the same: frames, and names and arrays of answers."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from tests.gateway.model import Frame
from tidegate.wire import php

__all__ = ["as_map", "key", "listed", "read_frames"]


def read_frames(data: bytes) -> list[Frame]:
    """What a server sent."""
    frames = []
    while data:
        first, size, start = data[0], data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        payload, data = data[start : start + size], data[start + size :]
        if first & 0x40:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        frames.append((first & 15, payload))
    return frames


def listed(names: Iterable[bytes]) -> list[Any]:
    """As PHP writes names in JSON: numbers for some."""
    return [7 if name == b"7" else name.decode() for name in names]


def key(name: bytes) -> Any:
    """A name as a key in an answer."""
    return php.loads(php.dumps_key(name))


def as_map(value: Any) -> dict[Any, Any]:
    """An answer's array, which reads as a list where its keys happen to be 0, 1, 2 …"""
    return dict(enumerate(value)) if isinstance(value, list) else value

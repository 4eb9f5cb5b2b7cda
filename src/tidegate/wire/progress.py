"""What a worker tells a gateway of its work: PROGRESS and RELEASE (wire protocol, "Extensions").

PROGRESS says how many events the worker has started and finished since the link began. Events of different clients run
at the same time, and one whose client is busy waits while later ones of others start; where those started are not just
the oldest, ext data names them: 8 bytes each, their numbers on the link, from 1. A gateway that does not read it takes
them for the oldest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

__all__ = ["pack_numbers", "pack_progress", "pack_released", "unpack_numbers", "unpack_progress", "unpack_released"]

PROGRESS_BODY = struct.Struct("!QQ")


def pack_progress(started: int, finished: int) -> bytes:
    """The body of PROGRESS: events started and finished since the link began."""
    return PROGRESS_BODY.pack(started, finished)


def unpack_progress(body: bytes) -> tuple[int, int]:
    """Read it.

    Raises:
        ValueError: it is none.
    """
    if len(body) != PROGRESS_BODY.size:
        raise ValueError(f"PROGRESS has a body of {PROGRESS_BODY.size} bytes, not {len(body)}")
    started, finished = PROGRESS_BODY.unpack(body)
    return started, finished


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """The ext data of PROGRESS: which events were started since the last one."""
    return struct.pack(f"!{len(numbers)}Q", *numbers)


def unpack_numbers(ext: bytes) -> tuple[int, ...]:
    """Read it.

    Raises:
        ValueError: its length is no multiple of 8.
    """
    count, rest = divmod(len(ext), 8)
    if rest:
        raise ValueError(f"{len(ext)} bytes of event numbers: each has 8")
    return struct.unpack(f"!{count}Q", ext)


def pack_released(connection_ids: Iterable[int]) -> bytes:
    """The body of RELEASE: the connection ids of clients that another worker may have now."""
    numbers = tuple(connection_ids)
    return struct.pack(f"!{len(numbers)}I", *numbers)


def unpack_released(body: bytes) -> tuple[int, ...]:
    """Read it.

    Raises:
        ValueError: its length is no multiple of 4.
    """
    count, rest = divmod(len(body), 4)
    if rest:
        raise ValueError(f"RELEASE has a body of {len(body)} bytes: each connection id has 4")
    return struct.unpack(f"!{count}I", body)

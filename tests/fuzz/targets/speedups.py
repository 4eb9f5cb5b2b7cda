"""The compiled inner loops against their twins in Python."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from websockets.utils import apply_mask

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tests.fuzz.targets import packets, websockets
from tidegate.protocols.frames import body_frame_in_python, body_frames_in_python, make_frame_in_python
from tidegate.protocols.scan import scan_frames_in_python
from tidegate.wire.packet import pack_packet_in_python, pack_packets_in_python, scan_packets_in_python
from tidegate.wire.runs import scan_runs_in_python

__all__ = ["TARGETS"]

compiled: Any
try:
    # Itself, not as `tidegate.speedups` has it: the fuzzer runs everything else without it.
    from tidegate import _speedups as compiled
except ImportError:
    compiled = None

LIMITS = (10_485_760, 0, 5, 28, 125, 126, 200, 65535)


def outcome(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    except Exception as error:
        # Which of several mistakes is found first is not the same.
        return ValueError if isinstance(error, struct.error | OverflowError | UnicodeEncodeError) else type(error)


def run_scanning(data: bytes) -> None:
    """Frames and packets are found alike, in whatever holds them and from wherever they begin."""
    source = Source(data)
    limit, shift = source.choose(LIMITS), source.number(9)
    stream = source.rest()
    position = min(shift, len(stream))
    # An allocation of exactly this size, so that a sanitizer sees a step beyond it.
    view = memoryview(bytearray(stream))
    found: list[Any] = []
    expected: list[Any] = []
    end = compiled.scan_frames(view, position, limit, found)
    assert end == scan_frames_in_python(view, position, limit, expected)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
    for quick, slow in ((compiled.scan_packets, scan_packets_in_python), (compiled.scan_runs, scan_runs_in_python)):
        found, expected = [], []
        assert quick(view[position:], limit, found) == slow(view[position:], limit, expected)
        assert found == expected
    mask = bytes(view[:4]).ljust(4, b"\7")
    assert compiled.apply_mask(view[position:], mask) == apply_mask(bytes(view[position:]), mask)


def run_packing(data: bytes) -> None:
    """Frames and packets are made alike, or refused alike."""
    source = Source(data)
    limit = source.choose(LIMITS)
    fields = [int.from_bytes(source.take(size), signed=is_signed) for size, is_signed in FIELDS]
    ext = source.piece()
    bodies: list[str | bytes] = []
    while not source.is_empty:
        is_text, piece = source.is_true(), source.piece()
        bodies.append(piece.decode("utf-8", "surrogateescape") if is_text else piece)
    for body in bodies:
        assert outcome(compiled.pack_packet, *fields, ext, body) == outcome(pack_packet_in_python, *fields, ext, body)
        first = fields[0] & 255
        assert outcome(compiled.make_frame, first, body) == outcome(make_frame_in_python, first, body)
    if bodies:
        args = (*fields[:7], fields[6], fields[7], ext, bodies, limit)
        assert outcome(compiled.pack_packets, *args) == outcome(pack_packets_in_python, *args)
    plain: list[bytes] = [body for body in bodies if isinstance(body, bytes)]
    assert compiled.body_frames(plain) == body_frames_in_python(plain)
    assert [compiled.body_frame(body) for body in plain] == [body_frame_in_python(body) for body in plain]


FIELDS = ((2, True), (4, False), (2, False), (4, False), (2, False), (4, False), (1, False), (2, False))
"""Bytes of each number in a header; the first may be none that it has room for."""


def streams() -> Iterator[bytes]:
    for seed in websockets.seeds():
        yield b"\0\0" + seed[5:]
        yield b"\5\1x" + seed[5:]
    recorded = packets.recorded()
    for packet in recorded:
        yield b"\0\0" + packet * 2 + recorded[0]


def pieces() -> list[bytes]:
    head = b"\0" + b"\0\5" + bytes(19)
    return [head + b"\3ext\0\5hello\1\6" + "世界".encode(), head + b"\0\1\1\xff\0\x80" + bytes(range(128))]


TARGETS = (
    (Target("speedups-scanning", run_scanning, streams), Target("speedups-packing", run_packing, pieces))
    if compiled is not None
    else ()
)

"""What is compiled does exactly what its twin in Python does."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.utils import apply_mask as apply_mask_in_python

from tests.clients import client_frame
from tidegate.net.batch import send_many, send_many_in_python
from tidegate.protocols.frames import body_frame_in_python, body_frames_in_python, make_frame_in_python
from tidegate.protocols.scan import scan_frames_in_python
from tidegate.speedups import compiled
from tidegate.wire.packet import pack_packet_in_python, pack_packets_in_python, scan_packets_in_python
from tidegate.wire.runs import packets_of, scan_runs_in_python

pytestmark = pytest.mark.skipif(compiled is None, reason="needs a C compiler when it is installed")

SIZES = st.sampled_from([0, 1, 3, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536])
PAYLOADS = st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode), SIZES.map(lambda size: b"x" * size))
FRAMES = st.one_of(
    st.builds(client_frame, st.sampled_from([0x81, 0x82]), PAYLOADS),
    st.builds(client_frame, st.integers(0, 255), PAYLOADS),
    st.binary(max_size=20),
)
LIMITS = st.sampled_from([0, 1, 10, 125, 126, 1000, 65535, 1 << 20])


def outcome(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    except Exception as error:
        return OverflowError if isinstance(error, struct.error) else type(error)


@given(st.lists(FRAMES, max_size=6).map(b"".join), st.integers(0, 10), LIMITS)
@example(client_frame(0x81, b"\xff\xfe"), 0, 1000)
@example(client_frame(0x81, "é".encode() * 70), 0, 1000)
@example(client_frame(0x81, b"\xed\xa0\x80"), 0, 1000)
@example(b"\x81\xfe\x00\x05" + b"mask" + b"short form needed", 0, 1000)
@example(b"\x82\xfe\xff\xff" + b"mask", 0, 65535)
def test_frames_are_scanned_alike(data: bytes, position: int, limit: int) -> None:
    assert compiled is not None
    position = min(position, len(data))
    found: list[Any] = []
    expected: list[Any] = []
    assert compiled.scan_frames(memoryview(data), position, limit, found) == scan_frames_in_python(
        memoryview(data), position, limit, expected
    )
    assert found == expected
    assert [type(message) for message in found] == [type(message) for message in expected]


@given(st.one_of(st.binary(max_size=40), PAYLOADS), st.binary(min_size=4, max_size=4))
def test_masks_are_taken_off_alike(data: bytes, mask: bytes) -> None:
    assert compiled is not None
    for form in (bytes, bytearray, memoryview):
        assert compiled.apply_mask(form(data), mask) == apply_mask_in_python(data, mask)


FIELDS = [st.integers(0, 2**bits - 1) for bits in (8, 32, 16, 32, 16, 32, 8, 16)]
PACKETS = st.builds(pack_packet_in_python, *FIELDS, st.binary(max_size=20), PAYLOADS)


@given(
    st.lists(st.one_of(PACKETS, PACKETS.map(lambda packet: packet[:-1]), st.binary(max_size=40)), max_size=5),
    st.sampled_from([0, 28, 60, 200, 10_485_760]),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_packets_are_scanned_alike(pieces: list[bytes], limit: int, form: type) -> None:
    assert compiled is not None
    found: list[Any] = []
    expected: list[Any] = []
    data = b"".join(pieces)
    assert compiled.scan_packets(form(data), limit, found) == scan_packets_in_python(form(data), limit, expected)
    assert found == expected


@given(
    st.lists(
        st.one_of(
            st.tuples(PACKETS, st.integers(1, 4)).map(lambda some: some[0] * some[1]),
            st.builds(
                lambda ext, bodies: b"".join(
                    pack_packet_in_python(3, 1, 2, 3, 4, 5, 2, 80, ext, body) for body in bodies
                ),
                st.sampled_from([b"", b"a", b"aa", b"ab"]),
                st.lists(PAYLOADS, max_size=4),
            ),
            st.binary(max_size=40),
        ),
        max_size=5,
    ),
    st.sampled_from([0, 28, 60, 200, 10_485_760]),
)
def test_runs_of_packets_are_scanned_alike(pieces: list[bytes], limit: int) -> None:
    assert compiled is not None
    found: list[Any] = []
    expected: list[Any] = []
    packets: list[Any] = []
    data = b"".join(pieces)
    assert compiled.scan_runs(data, limit, found) == scan_runs_in_python(data, limit, expected)
    assert found == expected
    scan_packets_in_python(data, limit, packets)
    assert [packet for run in found for packet in packets_of(run)] == packets


WIDE = [st.integers(-1, 2**bits) for bits in (8, 32, 16, 32, 16, 32, 8, 16)]


@given(st.one_of(st.tuples(*FIELDS), st.tuples(*WIDE)), st.binary(max_size=9), st.one_of(PAYLOADS, st.text()))
@example((1,) * 8, b"", "\ud800")
def test_packets_are_packed_alike(fields: tuple[int, ...], ext: bytes, body: bytes | str) -> None:
    assert compiled is not None
    for form in (body, bytearray(body)) if isinstance(body, bytes) else (body,):
        assert outcome(compiled.pack_packet, *fields, ext, form) == outcome(pack_packet_in_python, *fields, ext, form)


@given(
    st.one_of(st.tuples(*FIELDS), st.tuples(*WIDE)),
    st.binary(max_size=9),
    st.lists(st.one_of(PAYLOADS, st.text()), min_size=1, max_size=4),
    LIMITS,
)
@example((1,) * 8, b"", [b"", "\ud800"], 100)
def test_packets_of_one_read_are_packed_alike(
    fields: tuple[int, ...], ext: bytes, bodies: list[bytes | str], limit: int
) -> None:
    assert compiled is not None
    args = (*fields[:7], fields[6], fields[7], ext, bodies, limit)
    assert outcome(compiled.pack_packets, *args) == outcome(pack_packets_in_python, *args)


@given(st.integers(0, 255), st.one_of(PAYLOADS, st.text(), st.text(alphabet="\ud800a")))
def test_frames_are_made_alike(first: int, payload: bytes | str) -> None:
    assert compiled is not None
    assert outcome(compiled.make_frame, first, payload) == outcome(make_frame_in_python, first, payload)
    if isinstance(payload, bytes):
        assert compiled.body_frame(payload) == body_frame_in_python(payload)
        assert compiled.body_frames([b"x", payload]) == body_frames_in_python([b"x", payload])


def test_bodies_that_are_hardly_text_get_the_same_frames() -> None:
    assert compiled is not None
    for body in (b"", b"a" * 15 + b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "ü".encode() * 5, b"\xc3"):
        assert compiled.body_frame(body) == body_frame_in_python(body)


def test_what_is_no_argument_is_refused() -> None:
    assert compiled is not None
    calls: list[Callable[[], object]] = [
        lambda: compiled.apply_mask(b""),
        lambda: compiled.apply_mask("text", b"mask"),
        lambda: compiled.scan_frames(b"", 0, 1, ()),
        lambda: compiled.scan_frames(b""),
        lambda: compiled.scan_packets("text", 1, []),
        lambda: compiled.scan_packets(b"", None, []),
        lambda: compiled.pack_packet(1),
        lambda: compiled.pack_packet(*[1] * 8, b"", None),
        lambda: compiled.pack_packets(1),
        lambda: compiled.pack_packets(*[1] * 9, b"", (), 100),
        lambda: compiled.pack_packets(*[1] * 9, b"", [None], 100),
        lambda: compiled.make_frame(1, 2),
        lambda: compiled.body_frame("text"),
        lambda: compiled.body_frames(b"text"),
        lambda: compiled.body_frames([b"text", "text"]),
        lambda: compiled.scan_runs(b"", 1, ()),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_it_can_be_done_without() -> None:
    code = """
from tidegate.protocols import scan
from tidegate.speedups import compiled
assert compiled is None and scan.scan_frames is scan.scan_frames_in_python
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TIDEGATE_PURE_PYTHON": "1"}, check=True)


@pytest.mark.parametrize("send_many", [send_many, send_many_in_python], ids=["in use", "in Python"])
def test_the_same_is_sent_to_sockets_that_work_that_are_full_and_that_broke(
    send_many: Callable[[list[socket.socket], bytes], list[int]],
) -> None:
    pairs = [socket.socketpair() for _ in range(4)]
    for ours, _ in pairs:
        ours.setblocking(False)
    full, broken = pairs[1][0], pairs[2]
    with contextlib.suppress(BlockingIOError):
        while True:
            full.send(b"x" * 65536)
    broken[1].close()
    assert send_many([ours for ours, _ in pairs], b"hello") == [5, 0, -1, 5]
    assert send_many([], b"hello") == []
    assert pairs[0][1].recv(100) == pairs[3][1].recv(100) == b"hello"
    gone = socket.socket()
    os.close(gone.detach())  # as a loop does
    assert send_many([gone, pairs[0][0]], b"hello") == [-1, 5]
    assert pairs[0][1].recv(100) == b"hello"
    taken = send_many([pairs[0][0]], b"y" * 10_000_000)[0]  # as much as there is room for
    assert 0 < taken < 10_000_000
    for pair in pairs:
        for sock in pair:
            sock.close()

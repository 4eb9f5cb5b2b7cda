"""Packets, alone and in runs, and the numbers in PROGRESS and RELEASE."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.source import Source, reads
from tests.fuzz.target import Target
from tests.wire.support import vectors
from tidegate.wire.packet import PacketReader, pack_packet_in_python
from tidegate.wire.progress import (
    pack_numbers,
    pack_progress,
    pack_released,
    unpack_numbers,
    unpack_progress,
    unpack_released,
)
from tidegate.wire.runs import RunReader, packets_of

__all__ = ["TARGETS", "recorded"]

LIMITS = (10_485_760, 28, 40, 200)


def run(data: bytes) -> None:
    """Packets are found in any reads, alone and in runs, and packing them gives the stream again."""
    source = Source(data)
    limit, sizes = source.choose(LIMITS), source.sizes()
    stream = source.rest()
    whole, cut, runs = PacketReader(limit), PacketReader(limit), RunReader(limit)
    packets = whole.feed(stream)
    assert [packet for read in reads(stream, sizes) for packet in cut.feed(read)] == packets
    assert [packet for read in reads(stream, sizes) for run in runs.feed(read) for packet in packets_of(run)] == packets
    assert (whole.error is None) == (cut.error is None) == (runs.error is None)
    assert whole.is_amid == cut.is_amid == runs.is_amid
    packed = b""
    for command, number, flags, ext, body, ip, port, client_ip, client_port, gateway_port in packets:
        packed += pack_packet_in_python(
            command, ip, port, client_ip, client_port, number, flags, gateway_port, ext, body
        )
    assert stream.startswith(packed)
    assert whole.is_amid == (whole.error is None and len(stream) - len(packed) >= 28)


def run_progress(data: bytes) -> None:
    """Numbers are read as they are written, or refused."""
    for unpack, pack in (
        (unpack_progress, lambda numbers: pack_progress(*numbers)),
        (unpack_numbers, pack_numbers),
        (unpack_released, pack_released),
    ):
        try:
            numbers = unpack(data)
        except ValueError:
            continue
        assert pack(numbers) == data


def recorded() -> list[bytes]:
    """Packets that PHP's processes sent."""
    packets = [bytes.fromhex(event["packet"]) for event in vectors("gateway_events")]
    for name in ("gateway_client", "gateway_client_with_secret"):
        for step in vectors(name)["steps"]:
            packets.append(bytes.fromhex(step.get("request") or ""))
    return list(dict.fromkeys(filter(None, packets)))


def seeds() -> Iterator[bytes]:
    packets = recorded()
    for number, packet in enumerate(packets):
        yield b"\0\0\0\0" + packet
        yield b"%c\1\5\x1c" % (number % 4) + packet * 3 + packets[number - 1]


TARGETS = (
    Target("packets", run, seeds),
    Target("progress", run_progress, lambda: [bytes(16), b"\0\0\0\1" * 3, pack_progress(7, 5), b"123"]),
)

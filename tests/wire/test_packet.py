"""Packets: those that were recorded, in any split, and streams that hold none."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins import both_loops as both_loops
from tests.wire.support import read_packets, vectors
from tidegate.wire import commands, php
from tidegate.wire.packet import DEFAULT_MAX_PACKET_SIZE, HEADER, HEADER_SIZE, Packet, PacketReader, pack

EVENTS = vectors("gateway_events")
REQUESTS = {
    f"{file} {number} {step['call']}": bytes.fromhex(step["request"])
    for file in ("gateway_client", "gateway_client_with_secret")
    for number, step in enumerate(vectors(file)["steps"])
    if step.get("request")
}
RECORDED = b"".join(bytes.fromhex(event["packet"]) for event in EVENTS)


def repack(packet: Packet) -> bytes:
    """All of a packet, address fields included, as bytes."""
    command, number, flags, ext, body, ip, port, client_ip, client_port, gateway_port = packet
    size = HEADER_SIZE + len(ext) + len(body)
    head = HEADER.pack(size, command, ip, port, client_ip, client_port, number, flags, gateway_port, len(ext))
    return head + ext + body


def test_what_the_push_client_sent_is_read_and_packed_the_same() -> None:
    assert REQUESTS
    for name, request in REQUESTS.items():
        packets = read_packets(request)
        assert packets, name
        packed = b"".join(pack(command, number, ext, body, flags) for command, number, flags, ext, body, *_ in packets)
        assert packed == request, name
        if "with_secret" in name:
            assert packets[0][0] == commands.GATEWAY_CLIENT_CONNECT, name
            assert json.loads(packets[0][4]) == {"secret_key": "s3cret"}, name


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.get("what") or event["when"])
def test_what_the_gateway_sent_is_read_field_by_field(event: dict[str, Any]) -> None:
    data = bytes.fromhex(event["packet"])
    (packet,) = read_packets(data)
    assert repack(packet) == data
    if event["sent_by"] == "gateway":
        command, number, flags, ext, body, ip, port, client_ip, client_port, gateway_port = packet
        assert command == event["cmd"]
        assert (ip, port) == (event["local_ip"], event["local_port"])
        assert (client_ip, client_port) == (event["client_ip"], event["client_port"])
        assert (number, flags, gateway_port) == (event["connection_id"], event["flag"], event["gateway_port"])
        assert len(ext) == event["ext_len"]
        if command == commands.ON_WEBSOCKET_CONNECT:
            assert list(php.loads_array(body)) == ["get", "server", "cookie"]


packets = st.builds(
    repack,
    st.tuples(
        st.integers(0, 255),
        st.integers(0, 2**32 - 1),
        st.integers(0, 255),
        st.binary(max_size=40),
        st.binary(max_size=40),
        st.integers(0, 2**32 - 1),
        st.integers(0, 65535),
        st.integers(0, 2**32 - 1),
        st.integers(0, 65535),
        st.integers(0, 65535),
    ),
)


def chunks(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(packets, min_size=1, max_size=6), st.lists(st.integers(0, 1000), max_size=12))
def test_packets_come_out_whole_however_the_stream_is_cut(sent: list[bytes], cuts: list[int]) -> None:
    reader = PacketReader()
    found = [repack(packet) for chunk in chunks(b"".join(sent), cuts) for packet in reader.feed(memoryview(chunk))]
    assert found == sent
    assert reader.error is None


def test_packets_come_out_of_a_stream_that_comes_byte_by_byte() -> None:
    reader = PacketReader()
    found = [repack(packet) for byte in RECORDED for packet in reader.feed(bytes([byte]))]
    assert b"".join(found) == RECORDED


def test_what_was_read_stays_as_it_is_when_the_buffer_is_used_again() -> None:
    buffer = bytearray(pack(commands.SEND_TO_ONE, 7, b"ext", b"body") + b"\0\0")
    reader = PacketReader()
    (packet,) = reader.feed(memoryview(buffer))
    buffer[:] = b"x" * len(buffer)
    assert packet[:5] == (commands.SEND_TO_ONE, 7, commands.SCALAR, b"ext", b"body")


@pytest.mark.parametrize(
    ("size", "ext_size", "reason"),
    [
        (0, 0, "less than its header"),
        (27, 0, "less than its header"),
        (28, 1, "28 bytes with 1 of ext data"),
        (100, 73, "100 bytes with 73 of ext data"),
        (100, 2**32 - 1, "of ext data"),
        (1001, 0, "over the limit of 1000"),
        (2**32 - 1, 0, "over the limit of 1000"),
    ],
)
def test_a_length_that_can_not_be_ends_the_stream_after_what_came_before(size: int, ext_size: int, reason: str) -> None:
    bad = HEADER.pack(size, 5, 0, 0, 0, 0, 1, 0, 0, ext_size)
    good = pack(commands.IS_ONLINE, 1)
    reader = PacketReader(limit=1000)
    assert [packet[0] for packet in reader.feed(good + bad + good)] == [commands.IS_ONLINE]
    assert reader.error is not None
    assert reason in reader.error.reason
    assert reader.feed(good) == []


def test_a_packet_may_be_as_long_as_the_limit() -> None:
    body = bytes(DEFAULT_MAX_PACKET_SIZE - HEADER_SIZE)
    (packet,) = read_packets(pack(commands.SEND_TO_ALL, 0, b"", body))
    assert len(packet[4]) == len(body)
    reader = PacketReader()
    assert reader.feed(pack(commands.SEND_TO_ALL, 0, b"", body + b"x")[:HEADER_SIZE]) == []
    assert reader.error is not None


def test_a_long_packet_in_small_pieces_is_not_copied_again_and_again() -> None:
    data = pack(commands.SEND_TO_ALL, 0, b"", bytes(4_000_000))
    reader = PacketReader()
    found = [packet for start in range(0, len(data), 100) for packet in reader.feed(data[start : start + 100])]
    assert [len(packet[4]) for packet in found] == [4_000_000]


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=6))
def test_any_bytes_are_packets_or_an_error_or_wait_for_more(data: bytes, cuts: list[int]) -> None:
    whole, cut = PacketReader(limit=150), PacketReader(limit=150)
    found = whole.feed(data)
    assert found == [packet for chunk in chunks(data, cuts) for packet in cut.feed(chunk)]
    assert (whole.error is None) == (cut.error is None)

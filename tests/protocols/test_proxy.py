"""The PROXY protocol: what is read, what is refused, and that not a byte too many is taken."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ProtocolError
from tidegate.protocols.proxy import MAX_HEADER_SIZE, MAX_LINE_SIZE, SIGNATURE, ProxyHeader, read_proxy_header

ports = st.integers(0, 65535)
addresses = st.one_of(st.tuples(*[st.ip_addresses(v=4)] * 2), st.tuples(*[st.ip_addresses(v=6)] * 2))


def as_line(source: object, target: object, ports: tuple[int, int]) -> bytes:
    family = 4 if isinstance(source, ipaddress.IPv4Address) else 6
    return f"PROXY TCP{family} {source} {target} {ports[0]} {ports[1]}\r\n".encode()


def binary(body: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def as_binary(source: object, target: object, ports: tuple[int, int], more: bytes = b"") -> bytes:
    assert isinstance(source, ipaddress.IPv4Address | ipaddress.IPv6Address)
    assert isinstance(target, ipaddress.IPv4Address | ipaddress.IPv6Address)
    family = 0x11 if source.version == 4 else 0x21
    return binary(source.packed + target.packed + struct.pack("!HH", *ports) + more, family=family)


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


@given(addresses, ports, ports, st.binary(max_size=400), st.binary(max_size=40))
def test_both_versions_say_where_a_client_is_and_how_far_they_go(
    pair: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address], first: int, second: int, more: bytes, behind: bytes
) -> None:
    for header in (as_line(*pair, (first, second)), as_binary(*pair, (first, second), more)):
        expected = ProxyHeader(len(header), (plain(pair[0]), first))
        assert read_proxy_header(header + behind) == expected
        for size in range(len(header)):
            assert read_proxy_header(header[:size]) is None


@given(st.one_of(st.binary(max_size=600), st.binary(max_size=600).map(lambda data: b"PROXY TCP4 " + data),
                 st.binary(max_size=600).map(lambda data: SIGNATURE + data)))  # fmt: skip
def test_anything_else_is_an_error_by_the_time_that_it_is_too_long(data: bytes) -> None:
    try:
        header = read_proxy_header(data)
    except ProtocolError:
        return
    if header is None:
        assert len(data) < MAX_HEADER_SIZE
    else:
        assert header.size <= min(len(data), MAX_HEADER_SIZE)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        b"PROXY UNKNOWN what ever\r\n",
        binary(b"", command=0x20, family=0),
        binary(b"abc", command=0x20),  # LOCAL: whatever stands there
        binary(b"", family=0),  # unspecified
        binary(bytes(216), family=0x31),  # a unix socket
    ],
)
def test_where_a_proxy_speaks_for_itself_or_does_not_know_there_is_no_address(header: bytes) -> None:
    assert read_proxy_header(header + b"GET") == ProxyHeader(len(header), None)


def test_an_ipv4_address_that_ipv6_carries_is_one() -> None:
    header = read_proxy_header(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 5 6\r\n")
    assert header is not None
    assert header.origin == ("192.0.2.1", 5)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXX",
        b"PROXY TCP5 1.1.1.1 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 2 3\r\n",
        b"PROXY TCP4  1.1.1.1 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 01 2\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 2\r\n",
        b"PROXY TCP4 1.1.1.256 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 1.1.1.1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        b"PROXY TCP4 \xff 1.1.1.1 1 2\r\n",
        b"PROXY TCP4 " + b"1" * MAX_LINE_SIZE,
        SIGNATURE[:-1] + b"\r",
        binary(bytes(12), command=0x11),  # version 1
        binary(bytes(12), command=0x22),  # no such command
        binary(bytes(12), family=0x12),  # UDP
        binary(bytes(12), family=0x41),
        binary(bytes(11)),
        binary(bytes(35), family=0x21),
        binary(bytes(521)),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_proxy_header(data)

"""Client ids."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import vectors
from tidegate.wire.client_id import format_client_id, pack_ip, parse_client_id, unpack_ip

RECORDED = vectors("gateway_client")["client_ids"]


def test_the_recorded_ones_say_where_the_recorders_clients_were() -> None:
    assert [parse_client_id(RECORDED[name]) for name in "ABC"] == [("127.0.0.1:2950", number) for number in (1, 2, 3)]


@given(st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_one_says_what_it_was_made_of(ip: ipaddress.IPv4Address, port: int, connection_id: int) -> None:
    client_id = format_client_id(pack_ip(str(ip)), port, connection_id)
    assert len(client_id) == 20
    assert parse_client_id(client_id) == (f"{ip}:{port}", connection_id)
    assert unpack_ip(pack_ip(str(ip))) == str(ip)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7f0000010b860000000",
        "7f0000010b86000000011",
        "7F0000010B8600000001",
        "7f0000010b860000000g",
        " 7f0000010b860000001",
        "7f0000010b8600000001\n",
        "７f0000010b8600000001",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no client id"):
        parse_client_id(text)


def test_what_is_no_text_is_none() -> None:
    with pytest.raises(ValueError, match="is no client id"):
        parse_client_id(b"7f0000010b8600000001")  # type: ignore[arg-type]


@pytest.mark.parametrize("ip", ["", "localhost", "127.1", "1", "::1", "256.0.0.1", "010.0.0.1", "127.0.0.1 x"])
def test_what_is_no_dotted_quad_has_no_number(ip: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - the system has no words for it
        pack_ip(ip)

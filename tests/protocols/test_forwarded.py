"""Where clients come from: what proxies say is believed as far as they are trusted, and nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.protocols.forwarded import TrustedProxies

PROXY = ("10.0.0.1", 4000)
trusted = TrustedProxies(["10.0.0.0/8", "192.168.1.7", "fd00::/8"])


def by_list(text: str) -> tuple[str, int]:
    return trusted.origin(PROXY, {"x-forwarded-for": text})


def by_forwarded(text: str) -> tuple[str, int]:
    return trusted.origin(PROXY, {"forwarded": text})


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("203.0.113.9", ("203.0.113.9", 0)),
        (" 203.0.113.9 ", ("203.0.113.9", 0)),
        ("203.0.113.9:5555", ("203.0.113.9", 5555)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("[2001:db8::1]:99", ("2001:db8::1", 99)),
        ("[2001:DB8:0::1]", ("2001:db8::1", 0)),
        ("::ffff:203.0.113.9", ("203.0.113.9", 0)),
        ("1.2.3.4, 203.0.113.9", ("203.0.113.9", 0)),  # the first one is what the client says
        ("1.2.3.4, 203.0.113.9, 10.1.1.1,192.168.1.7", ("203.0.113.9", 0)),
        ("1.2.3.4, 203.0.113.9, fd00::5", ("203.0.113.9", 0)),
        ("10.1.1.1, 10.2.2.2", ("10.1.1.1", 0)),  # all are proxies: the first is the client
        ("1.2.3.4, unknown, 10.2.2.2", ("10.2.2.2", 0)),  # nobody knows behind that
        ("203.0.113.9:port", ("203.0.113.9", 0)),
        ("203.0.113.9:65536", ("203.0.113.9", 0)),
    ],
)
def test_the_last_address_that_is_no_proxys_counts(text: str, origin: tuple[str, int]) -> None:
    assert by_list(text) == origin


@pytest.mark.parametrize(
    "text", ["", ",", "unknown", "1.2.3.4,", "999.1.1.1", "fe80::1%eth0", "[::1", "[::1]x", "x" * 9000, "<script>"]
)
def test_where_the_proxys_own_word_can_not_be_read_the_proxy_is_the_client(text: str) -> None:
    assert by_list(text) == PROXY
    assert by_forwarded(f"for={text}") == PROXY


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("for=203.0.113.9", ("203.0.113.9", 0)),
        ("FOR=203.0.113.9;proto=https;by=10.0.0.1", ("203.0.113.9", 0)),
        ('proto=https; for="203.0.113.9:77"', ("203.0.113.9", 77)),
        ('for="[2001:db8::1]:4711"', ("2001:db8::1", 4711)),
        ("for=1.2.3.4, for=203.0.113.9, for=10.0.0.9;by=10.0.0.1", ("203.0.113.9", 0)),
        ('for=", for=203.0.113.9', ("203.0.113.9", 0)),  # a quote that the client has left open
        ('for="1.2.3.4, for=203.0.113.9', ("203.0.113.9", 0)),
        ('for=1.2.3.4, for=203.0.113.9;by="a, for=5.6.7.8"', ("203.0.113.9", 0)),
        ("for=_hidden", PROXY),
        ("proto=https", PROXY),
    ],
)
def test_forwarded_is_read_in_the_same_way(text: str, origin: tuple[str, int]) -> None:
    assert by_forwarded(text) == origin


def test_nobody_else_is_believed() -> None:
    stranger = ("203.0.113.200", 4000)
    assert trusted.origin(stranger, {"x-forwarded-for": "1.2.3.4", "forwarded": "for=1.2.3.4"}) == stranger
    assert trusted.origin(PROXY, {}) == PROXY


def test_a_unix_sockets_peer_is_believed() -> None:
    assert trusted.origin(("", 0), {"x-forwarded-for": "203.0.113.9"}) == ("203.0.113.9", 0)


def test_of_two_headers_the_usual_one_counts() -> None:
    """A proxy that sets one of them lets the other through as the client has made it up."""
    headers = {"forwarded": "for=1.2.3.4", "x-forwarded-for": "203.0.113.9"}
    assert trusted.origin(PROXY, headers) == ("203.0.113.9", 0)


@given(st.text(max_size=200), st.ip_addresses().filter(lambda ip: not ip.is_private))
def test_whatever_a_client_writes_the_proxys_own_word_counts(forged: str, ip: object) -> None:
    bracketed = f"[{ip}]" if ":" in str(ip) else ip
    assert by_list(f"{forged}, {ip}") == by_forwarded(f'{forged}, for="{bracketed}"')
    assert by_list(f"{forged}, {ip}")[0] in (str(ip), str(getattr(ip, "ipv4_mapped", None)))


def test_a_list_of_proxies_without_end_is_not_gone_through() -> None:
    assert by_list("1.2.3.4" + ", 10.0.0.5" * 1000) == ("10.0.0.5", 0)


@pytest.mark.parametrize("network", ["everybody", "10.0.0.0/33", "10.0.0.0.1", ""])
def test_what_is_no_network_is_an_error(network: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        TrustedProxies([network])

"""Addresses as users write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import AddressError
from tidegate.net.address import SCHEMES, Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("websocket://0.0.0.0:7272", Address("websocket", "0.0.0.0", 7272)),
        ("WebSocket://0.0.0.0:7272", Address("websocket", "0.0.0.0", 7272)),
        ("websocket://0.0.0.0:7272/", Address("websocket", "0.0.0.0", 7272)),
        ("text://127.0.0.1:0", Address("text", "127.0.0.1", 0)),
        ("frame://[::1]:65535", Address("frame", "::1", 65535)),
        ("tcp://[::]:1", Address("tcp", "::", 1)),
        ("udp://localhost:53", Address("udp", "localhost", 53)),
        ("http://:8000", Address("http", "0.0.0.0", 8000)),
        ("unix:///run/app.sock", Address("unix", path="/run/app.sock")),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "has no protocol: write it like 'websocket://0.0.0.0:7272'"),
        ("0.0.0.0:7272", "has no protocol: write it like"),
        ("7272", "has no protocol: write it like"),
        ("websocket:0.0.0.0:7272", "has no protocol: write it like"),
        ("ws://0.0.0.0:7272", "begins with ws://: write websocket://, and for TLS pass ssl="),
        ("wss://0.0.0.0:7272", "begins with wss://: write websocket://, and for TLS pass ssl="),
        ("https://0.0.0.0:7272", "begins with https://: write http://, and for TLS pass ssl="),
        ("gopher://0.0.0.0:70", "names no known protocol: use one of websocket, text, frame, tcp, udp, unix, http"),
        ("text://", "needs a host and a port: write it like"),
        ("text://0.0.0.0", "needs a host and a port: write it like"),
        ("text://0.0.0.0:", "needs a host and a port: write it like"),
        ("text://0.0.0.0:port", "needs a host and a port: write it like"),
        ("text://0.0.0.0:-1", "needs a host and a port: write it like"),
        ("text://0.0.0.0:80/path", "needs a host and a port: write it like"),
        ("text://::1:80", "needs a host and a port: write it like"),
        ("text://0.0.0.0:123456", "needs a host and a port: write it like"),
        ("text://0.0.0.0:65536", "has port 65536: the highest is 65535"),
        ("unix://", "needs an absolute path: write it like 'unix:///run/app.sock'"),
        ("unix://app.sock", "needs an absolute path: write it like 'unix:///run/app.sock'"),
    ],
)
def test_a_wrong_address_is_one_line_that_says_what_would_be_right(text: str, advice: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    message = str(caught.value)
    assert f"the address {text!r} {advice}" in message
    assert "\n" not in message


@given(
    scheme=st.sampled_from([scheme for scheme in SCHEMES if scheme != "unix"]),
    host=st.ip_addresses().map(str) | st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True),
    port=st.integers(0, 65535),
)
def test_an_address_is_written_as_it_is_read(scheme: str, host: str, port: int) -> None:
    address = Address(scheme, host, port)
    assert parse_address(str(address)) == address


@given(st.text())
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    with contextlib.suppress(AddressError):
        assert parse_address(text).scheme in SCHEMES


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("text://127.0.0.1:1", True),
        ("text://127.8.9.10:1", True),
        ("text://[::1]:1", True),
        ("text://localhost:1", True),
        ("unix:///a", True),
        ("text://0.0.0.0:1", False),
        ("text://[::]:1", False),
        ("text://10.0.0.1:1", False),
        ("text://example.com:1", False),
    ],
)
def test_an_address_knows_whether_only_this_machine_reaches_it(text: str, local: bool) -> None:
    assert parse_address(text).is_local == local

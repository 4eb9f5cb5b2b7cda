"""Where a client comes from: PROXY headers, `X-Forwarded-For` and `Forwarded`, and the `Origin` of a web page."""

from __future__ import annotations

import ipaddress

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tidegate.errors import ProtocolError
from tidegate.net.origins import Origins, is_origin
from tidegate.protocols.forwarded import TrustedProxies
from tidegate.protocols.proxy import MAX_HEADER_SIZE, ProxyHeader, read_proxy_header

__all__ = ["TARGETS"]

PROXIES = TrustedProxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])
SITE = Origins(["https://example.com", "https://*.example.com", "http://localhost:8000"])


def read(data: bytes) -> ProxyHeader | str | None:
    try:
        return read_proxy_header(data)
    except ProtocolError as error:
        return error.reason


def run_proxy(data: bytes) -> None:
    """A header is found once it is whole, wherever it is cut, and what comes behind it changes nothing."""
    found = read(data)
    assert found is not None or len(data) < MAX_HEADER_SIZE
    if isinstance(found, ProxyHeader):
        assert found.size <= min(len(data), MAX_HEADER_SIZE)
        assert read(data[: found.size]) == found
        assert all(read(data[:size]) is None for size in range(found.size))
        if found.origin is not None:
            ip, port = found.origin
            assert str(ipaddress.ip_address(ip)) == ip
            assert 0 <= port < 65536
    elif found is None:
        assert all(read(data[:size]) is None for size in range(len(data)))
    else:
        assert isinstance(read(data + b"x"), str)


def run_forwarded(data: bytes) -> None:
    """What a client writes changes nothing in what trusted proxies have added to it."""
    source = Source(data)
    name = source.choose(("x-forwarded-for", "forwarded"))
    text = source.rest().decode("latin-1")
    ip, port = PROXIES.origin(("127.0.0.1", 5), {name: text})
    assert str(ipaddress.ip_address(ip)) == ip
    assert 0 <= port < 65536
    assert PROXIES.origin(("192.0.2.1", 5), {name: text}) == ("192.0.2.1", 5)
    added = "192.0.2.7" if name == "x-forwarded-for" else 'for="192.0.2.7"'
    for last in (added, f"{added}, {added.replace('192.0.2.7', '10.0.0.1')}"):
        assert PROXIES.origin(("127.0.0.1", 5), {name: f"{text},{last}"}) == ("192.0.2.7", 0)


def run_origin(data: bytes) -> None:
    """No page of another site may connect, whatever its origin looks like."""
    origin = data.decode("latin-1")
    if is_origin(origin):
        Origins([origin])
    if not SITE.allows(origin):
        return
    origin = origin.lower()
    site = origin.removeprefix("https://").removesuffix(":443")
    if site == "example.com" or origin == "http://localhost:8000":
        return
    assert origin.startswith("https://")
    host = site.removesuffix(".example.com")
    assert host != site
    assert host
    assert not set(host).intersection("/?#@:\\% \t\r\n\0*") or host.startswith("*.") or host == "*"


TARGETS = (
    Target(
        "proxy-header",
        run_proxy,
        lambda: [
            b"PROXY TCP4 192.0.2.1 10.0.0.1 1234 80\r\nGET /",
            b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
            b"PROXY UNKNOWN\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12)) + b"GET /",
            b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x27" + bytes(39),
        ],
        600,
    ),
    Target(
        "forwarded",
        run_forwarded,
        lambda: [
            b"\x00192.0.2.1, 10.0.0.1",
            b"\x00[2001:db8::1]:80, 10.0.0.1:5",
            b'\x01for="[2001:db8::1]:80";proto=https, for=10.0.0.1;by=_x',
            b'\x01for=unknown, for="_a\\"',
        ],
        300,
    ),
    Target(
        "origin",
        run_origin,
        lambda: [
            b"https://example.com",
            b"https://a.b.example.com:443",
            b"http://localhost:8000",
            b"null",
            b"https://[::1]:8",
        ],
        100,
    ),
)

"""Which web pages may connect, by their origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.net.origins import Origins, is_origin

EXAMPLE = ["https://example.com", "https://*.example.org", "http://localhost:5173"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.com",
        "https://example.com:443",
        "HTTPS://EXAMPLE.COM",
        "https://www.example.org",
        "https://a.b.example.org",
        "https://a.example.org:443",
        "http://localhost:5173",
    ],
)
def test_pages_that_are_listed_may_connect(origin: str) -> None:
    assert Origins(EXAMPLE).allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.example",
        "http://example.com",
        "https://example.com:8443",
        "https://www.example.com",
        "https://example.com.evil.example",
        "https://example.org",
        "https://evilexample.org",
        "https://.example.org",
        "https://evil.example/.example.org",
        "https://evil.example#.example.org",
        "https://kim@a.example.org",
        "https://a.example.org:8443",
        "https://example.com,https://example.com",
        "https://example.com/",
        "https://example.com\n",
        "http://localhost",
    ],
)
def test_others_may_not(origin: str) -> None:
    assert not Origins(EXAMPLE).allows(origin)


def test_who_names_no_origin_is_no_page_and_is_not_judged() -> None:
    assert Origins(EXAMPLE).allows(None)


def test_pages_without_an_origin_may_be_listed() -> None:
    assert Origins(["null"]).allows("null")
    assert not Origins(["null"]).allows("https://null")


def test_apps_have_origins_of_their_own_schemes_and_addresses_in_brackets() -> None:
    origins = Origins(["capacitor://localhost", "chrome-extension://abcdef", "http://[::1]:8000", "http://a:80"])
    for origin in ("capacitor://localhost", "chrome-extension://abcdef", "http://[::1]:8000", "http://a"):
        assert origins.allows(origin)


@pytest.mark.parametrize(
    "text",
    ["*", "", "example.com", "https://", "https://example.com/", "https://example.com/path", "https://*",
     "*.example.com", "https://a.*.example.com", "https://*example.com", "https://bücher.example", "https://a b", "https://a:123456"],
)  # fmt: skip
def test_what_is_no_origin_is_said_at_once(text: str) -> None:
    assert not is_origin(text)
    with pytest.raises(ValueError, match="is no origin"):
        Origins([text])


HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z][a-z0-9-]{0,10}){0,3}", fullmatch=True)


@given(HOSTS, st.text(max_size=30))
def test_a_domain_stands_for_hosts_below_it_and_nothing_else(domain: str, text: str) -> None:
    origins = Origins([f"https://*.{domain}"])
    assert origins.allows(f"https://www.{domain}")
    assert not origins.allows(f"https://{domain}")
    assert not origins.allows(text)


@given(HOSTS, HOSTS)
def test_an_exact_origin_is_itself_alone(host: str, other: str) -> None:
    assert Origins([f"https://{host}"]).allows(f"https://{other}") is (host == other)

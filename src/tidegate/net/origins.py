"""Which web pages may connect, by the header that browsers send for each (RFC 6454, RFC 6455 section 10.2).

A browser lets every page connect anywhere, and sends the cookies of the place along: only the header `Origin`, which a
page can't change, tells the site's own pages from others. Whoever is no browser sends what they like, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Origins", "is_origin"]

PATTERN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>(?P<any>\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?P<port>:[0-9]{1,5})?"
)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Which a browser leaves out (RFC 6454 section 6.2)."""
OPAQUE = "null"
"""That of pages which have none, such as those in a sandbox and on a disk (RFC 6454 section 7.1)."""


def is_origin(text: str) -> bool:
    """Whether a text is an origin, one with ``*.`` for all hosts of a domain, or ``null``."""
    return text == OPAQUE or PATTERN.fullmatch(text.lower()) is not None


class Origins:
    """Those that may connect.

    Args:
        patterns: ``https://example.com``, or ``https://*.example.com`` for all hosts below it, but not itself.

    Raises:
        ValueError: one of them is no origin.
    """

    __slots__ = ("_domains", "_exact")

    def __init__(self, patterns: Iterable[str]) -> None:
        exact: set[str] = {OPAQUE} & set(patterns := tuple(patterns))
        domains: set[tuple[str, str]] = set()
        for pattern in patterns:
            if not is_origin(pattern):
                raise ValueError(f"{pattern!r} is no origin")
            normal = _normal(pattern)
            scheme, _, rest = normal.partition("://")
            if rest.startswith("*."):
                domains.add((f"{scheme}://", rest[1:]))
            else:
                exact.add(normal)
        self._exact = frozenset(exact)
        self._domains = tuple(sorted(domains))

    def allows(self, origin: str | None) -> bool:
        """Whether a page of that origin may connect; without one it is no page, which is not judged here."""
        if origin is None:
            return True
        origin = _normal(origin)
        if origin in self._exact:
            return True
        if not self._domains or PATTERN.fullmatch(origin) is None:
            return False
        return any(
            origin.startswith(scheme) and origin.endswith(domain) and len(origin) > len(scheme) + len(domain)
            for scheme, domain in self._domains
        )


def _normal(origin: str) -> str:
    origin = origin.lower()
    scheme = origin.partition("://")[0]
    return origin.removesuffix(DEFAULT_PORTS.get(scheme, "\n"))

"""What comes to the ports of a cluster by mistake, or as an attempt, told by its first bytes."""

from __future__ import annotations

__all__ = ["LEAST", "stranger"]

LEAST = 4
"""Bytes by which one can be told. As a packet's length they are over 350 MiB, and none begins a line of JSON."""
HTTP = frozenset((b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"PATC", b"DELE", b"CONN", b"TRAC", b"PRI "))
TLS = b"\x16\x03"
"""A record of a handshake, of any version (RFC 8446 section 5.1)."""


def stranger(first: bytes) -> str | None:
    """What begins with these bytes; None where it may be of the cluster."""
    if first[:LEAST] in HTTP:
        return "an HTTP request"
    if first.startswith(TLS):
        return "a TLS handshake, and there is no cluster_ssl here"
    return None

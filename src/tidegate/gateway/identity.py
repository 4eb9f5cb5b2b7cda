"""`Identity`: who a client is, as `auth` says at its handshake."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tidegate.client.arguments import Name, encode_name, encode_session

__all__ = ["Credentials", "Identity", "pack_identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is, and what it begins with; all of it is there when `on_connect` is called.

    Attributes:
        uid: that is bound to it; None for a guest, who has none.
        session: its first; of what sessions may hold.
        groups: that it joins.
        expires_at: when its connection is closed with 4401, in seconds since 1970 (`time.time()`), unless `renew_auth`
            is called before; None is never.
    """

    uid: Name | None
    session: Mapping[Any, Any] = field(default_factory=dict)
    groups: Iterable[Name] = ()
    expires_at: float | None = None


class Credentials(NamedTuple):
    """An identity as a gateway keeps it."""

    uid: bytes | None
    session: bytes
    groups: tuple[bytes, ...]
    expires_at: float | None


def pack_identity(identity: Identity) -> Credentials:
    """Check an identity.

    Raises:
        TypeError, ValueError, OverflowError: something in it can't be.
    """
    expires_at = identity.expires_at
    if expires_at is not None and not (isinstance(expires_at, int | float) and math.isfinite(expires_at)):
        raise TypeError(f"expires_at is a number of seconds since 1970, not {expires_at!r}")
    groups = identity.groups
    if isinstance(groups, str | bytes | int):
        raise TypeError("groups is a list, also of one")
    return Credentials(
        None if identity.uid is None else encode_name(identity.uid, "uid"),
        encode_session(identity.session) if identity.session else b"",
        tuple(encode_name(group, "group") for group in groups),
        expires_at,
    )

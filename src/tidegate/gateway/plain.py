"""A gateway's settings as JSON has them, in which its processes get them from the supervisor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tidegate.gateway.jwt_auth import JWTAuth
from tidegate.net.mutual import ClusterTLS
from tidegate.process.settings import GatewaySettings

__all__ = ["from_plain", "to_plain"]

TUPLES = ("cluster", "register", "subprotocols", "origins", "trusted_proxies", "ssl")


def to_plain(settings: GatewaySettings) -> dict[str, Any] | None:
    """Give what goes into JSON; None where something of the user's code is among them."""
    plain = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    if isinstance(settings.auth, JWTAuth):
        plain["auth"] = settings.auth.plain() or settings.auth
    tls = plain["ssl"]
    is_plain = (
        not callable(plain["router"])
        and not callable(plain["auth"])
        and not isinstance(plain["ping_data"], bytes)
        and (tls is None or isinstance(tls, tuple | list))
    )
    return plain if is_plain else None


def from_plain(settings: Mapping[str, Any]) -> GatewaySettings:
    """Make settings of it again."""
    plain = dict(settings)
    for name in TUPLES:
        plain[name] = tuple(plain[name]) if plain[name] is not None else None
    if plain["auth"] is not None:
        plain["auth"] = JWTAuth.from_plain(plain["auth"])
    if plain["cluster_ssl"] is not None:
        plain["cluster_ssl"] = ClusterTLS(*plain["cluster_ssl"])
    return GatewaySettings(**plain)

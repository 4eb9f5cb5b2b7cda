"""Who may come in, as far as numbers and addresses decide it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidegate.net.sockets import plain_ip
from tidegate.protocols.forwarded import Origin, TrustedProxies
from tidegate.protocols.handshake import HandshakeError, reject_response

if TYPE_CHECKING:
    from tidegate.net.connection import Connection

__all__ = ["CROWDED", "FULL", "STRANGER", "Gate", "Refusal", "origin_of"]

RETRY_SECONDS = "10"
"""That somebody who was refused is asked to wait, in the header Retry-After."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not taken.

    Attributes:
        counter: of `Stats`.
        status, reason: of the answer, where the protocol is HTTP.
    """

    counter: str
    status: int
    reason: str

    @property
    def error(self) -> HandshakeError:
        """What the handshake fails with."""
        headers = {} if self is STRANGER else {"Retry-After": RETRY_SECONDS}
        return HandshakeError(self.status, self.reason, headers)

    @property
    def answer(self) -> bytes:
        """What is sent."""
        return reject_response(self.error)


FULL = Refusal("refused_connections", 503, "there are as many connections as this server takes")
CROWDED = Refusal("refused_addresses", 429, "there are as many connections from this address as this server takes")
STRANGER = Refusal("refused_proxies", 403, "only proxies that are trusted may connect here")


class Gate:
    """An endpoint's.

    Args:
        max_connections: in all; 0 is no bound.
        max_per_ip: from one IPv4 address, or one IPv6 network of 64 bits, which one customer has; 0 is no bound. Those
            of trusted proxies are not counted.
        trusted_proxies: addresses and networks whose word about clients' addresses is taken.
        proxy_protocol: each connection begins with a PROXY header.

    Attributes:
        keeps_origins: whether connections come from elsewhere than their sockets say.
    """

    def __init__(
        self,
        max_connections: int = 0,
        max_per_ip: int = 0,
        trusted_proxies: Sequence[str] = (),
        proxy_protocol: bool = False,
    ) -> None:
        self.proxy_protocol = proxy_protocol
        self.keeps_origins = proxy_protocol or bool(trusted_proxies) or max_per_ip > 0
        self._max_connections = max_connections
        self._max_per_ip = max_per_ip
        self._trusted = TrustedProxies(trusted_proxies) if trusted_proxies else None
        self._keys: dict[Connection, bytes | str] = {}  # of those that are counted
        self._counts: dict[bytes | str, int] = {}

    def judge(self, peer: Origin, taken: int) -> Refusal | None:
        """See whether one may be accepted.

        Args:
            peer: its socket's other end.
            taken: connections that there are.
        """
        if taken >= self._max_connections > 0:
            return FULL
        if self.proxy_protocol:
            return STRANGER if self._trusted is not None and peer[0] not in self._trusted else None
        if self._max_per_ip and self._is_crowded(peer[0]):
            return CROWDED
        return None

    def enter(self, connection: Connection, origin: Origin) -> Refusal | None:
        """Count one under the address that it comes from, in place of an earlier one; unless there are too many."""
        if not self._max_per_ip:
            return None
        self.leave(connection)
        if not self._is_counted(origin[0]):
            return None
        if self._is_crowded(origin[0]):
            return CROWDED
        key = self._keys[connection] = _key(origin[0])
        self._counts[key] = self._counts.get(key, 0) + 1
        return None

    def leave(self, connection: Connection) -> None:
        """One is gone."""
        key = self._keys.pop(connection, None)
        if key is None:
            return
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def origin(self, peer: Origin, headers: Mapping[str, str]) -> Origin:
        """Where a request comes from."""
        return peer if self._trusted is None else self._trusted.origin(peer, headers)

    def _is_counted(self, ip: str) -> bool:
        return bool(ip) and (self._trusted is None or ip not in self._trusted)

    def _is_crowded(self, ip: str) -> bool:
        return self._is_counted(ip) and self._counts.get(_key(ip), 0) >= self._max_per_ip


def origin_of(peername: Any) -> Origin:
    """The address and port of a socket's name; none of a unix socket's."""
    return (plain_ip(str(peername[0])), int(peername[1])) if isinstance(peername, tuple) else ("", 0)


def _key(ip: str) -> bytes | str:
    """What stands for an address: of IPv6 the first 64 bits."""
    return ipaddress.IPv6Address(ip).packed[:8] if ":" in ip else ip

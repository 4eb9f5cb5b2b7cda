"""A gateway's `auth`: who clients are is found out at their handshake, and ends when it expires."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.expiry import Expiry
from tidegate.gateway.identity import Credentials, Identity, pack_identity
from tidegate.gateway.tables import Tables
from tidegate.net.admission import Verdict
from tidegate.net.connection import Connection
from tidegate.net.throttle import Throttle
from tidegate.protocols import Handshake
from tidegate.protocols.handshake import HandshakeError

__all__ = ["Auth", "Entrance", "warn"]

logger = logging.getLogger("tidegate")

Auth: TypeAlias = "Callable[[Handshake], Identity | Awaitable[Identity | None] | None]"
"""Says who has sent a handshake; None for nobody who may come in."""

EXPIRED = 4401
"""The close code, of those for applications (RFC 6455 section 7.4.2), after HTTP's 401."""
UNKNOWN = HandshakeError(401, "you are not allowed in: no valid token, or none at all", {"WWW-Authenticate": "Bearer"})
BROKEN = HandshakeError(500, "who you are could not be found out: try again")


class Entrance:
    """One gateway process's.

    Args:
        name: for logs.
        auth: the user's function, or a `JWTAuth`.
        max_session: bytes of a first session.
        max_groups: that an identity may name.

    Attributes:
        expired: clients whose time was over.
        refused_renewals: tokens that `renew_auth` brought in vain.
    """

    def __init__(self, name: str, auth: Auth, max_session: int, max_groups: int) -> None:
        self.expired = 0
        self.refused_renewals = 0
        self._name = name
        self._auth = auth
        self._max_session = max_session
        self._max_groups = max_groups
        self._expiry: Expiry[GatewayConnection] = Expiry()
        self._throttle = Throttle(logger)

    # Coming in

    def judge(self, connection: Connection, handshake: Handshake) -> Verdict | Awaitable[Verdict]:
        """Find out who has sent a handshake, now or later."""
        try:
            found = self._auth(handshake)
        except Exception as error:
            return self._fail(connection, error)
        if inspect.isawaitable(found):
            return self._wait(connection, handshake, found)
        return self._decide(connection, handshake, found)

    async def _wait(self, connection: Connection, handshake: Handshake, found: Awaitable[Identity | None]) -> Verdict:
        try:
            identity = await found
        except Exception as error:
            return self._fail(connection, error)
        return self._decide(connection, handshake, identity)

    def _decide(self, connection: Connection, handshake: Handshake, identity: Any) -> Verdict:
        if identity is None:
            connection.endpoint.stats.refused_auth += 1
            return UNKNOWN
        try:
            handshake.identity = self._pack(identity)
        except Exception as error:
            return self._fail(connection, error)
        return None

    def _pack(self, identity: Any) -> Credentials:
        if not isinstance(identity, Identity):
            raise TypeError(f"auth gives an Identity or None, not {type(identity).__name__}")
        credentials = pack_identity(identity)
        if len(credentials.session) > self._max_session:
            raise ValueError(
                f"a session of {len(credentials.session)} bytes, over max_session_size, {self._max_session}"
            )
        if len(set(credentials.groups)) > self._max_groups:
            raise ValueError(f"{len(credentials.groups)} groups, over max_groups_per_client, {self._max_groups}")
        return credentials

    def _fail(self, connection: Connection, error: Exception) -> Verdict:
        connection.endpoint.stats.failed_auth += 1
        self._throttle.log(
            logging.ERROR,
            "%s: auth failed for a client from %s, who gets a 500",
            self._name,
            connection.remote_ip or "a unix socket",
            error=error,
        )
        return BROKEN

    def welcome(self, client: GatewayConnection, tables: Tables[GatewayConnection], credentials: Credentials) -> None:
        """Give a client what its identity says; it has just come in."""
        client.session = credentials.session
        if credentials.uid is not None:
            tables.bind(client, credentials.uid)
        for group in credentials.groups:
            tables.join(client, group)
        self._expiry.set(client, credentials.expires_at)

    # Staying

    def renew(self, client: GatewayConnection, token: str) -> bool:
        """Let a client stay for as long as a token says; gives whether it names the same uid, and is valid.

        Raises:
            LookupError: this `auth` can't verify a token; the error says what could.
        """
        verify = getattr(self._auth, "verify", None)
        if verify is None:
            raise LookupError(
                "auth= of the gateway is a function, which sees handshakes only: for renew_auth it takes a JWTAuth, or "
                "an object that can be called and has verify(token) -> Identity | None"
            )
        try:
            identity = verify(token)
            credentials = None if identity is None else self._pack(identity)
        except Exception as error:
            self._throttle.log(logging.ERROR, "%s: verify of auth= failed, a token is refused", self._name, error=error)
            credentials = None
        if credentials is None or client.uid is None or credentials.uid != client.uid:
            self.refused_renewals += 1
            return False
        self._expiry.set(client, credentials.expires_at)
        return True

    def forget(self, client: GatewayConnection) -> None:
        """A client is gone."""
        self._expiry.discard(client)

    def sweep(self) -> None:
        """Once a second: close those whose time is over."""
        self._throttle.flush()
        self._close(self._expiry.take_due())

    def _close(self, clients: Iterable[GatewayConnection]) -> None:
        for client in clients:
            if client.is_open:
                self.expired += 1
                client.close(code=EXPIRED, reason="your token has expired")


def warn(name: str, auth: Auth, origins: tuple[str, ...]) -> None:
    """Say what is weak about a `JWTAuth`."""
    if getattr(auth, "cookie", None) is not None and not origins:
        logger.warning(
            "%s: auth= takes tokens from a cookie, which browsers send for pages of any site: set origins= to your own",
            name,
        )
    if (weakness := getattr(auth, "weakness", None)) is not None:
        logger.warning("%s: auth=: %s", name, weakness)

"""`JWTAuth`: clients show a JSON Web Token (RFC 7519) at the handshake, which PyJWT verifies."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.gateway.identity import Identity, pack_identity
from tidegate.net.throttle import Throttle
from tidegate.protocols import Handshake

__all__ = ["JWTAuth"]

logger = logging.getLogger("tidegate")

MAX_TOKEN = 16 * 1024
"""Characters of a token; a request has no room for more."""
SYMMETRIC = ("HS256", "HS384", "HS512")
SHOWN = 200
"""Characters of the reason for a refusal in the log."""
SCHEME = "bearer "


class JWTAuth:
    """Lets in who shows a valid token: its `sub` becomes the uid, its claims are the first session.

    At its `exp` the connection is closed with 4401, unless `renew_auth` has brought a later one; a token without `exp`
    lasts as long as the connection. A token that is altered, expired, not valid yet (`nbf`, `iat`), of another
    algorithm, audience or issuer, or without a `sub` is refused. One with an `aud` needs an ``audience``. Where a
    client shows several, the header counts before the subprotocol, that before the query, and that before the cookie.

    Args:
        key: the secret of HS256, HS384 and HS512, or the public key of the others, in PEM.
        algorithms: with which tokens may be signed, such as ``["HS256"]``; never "none".
        audience: one or more, of which a token has to name one.
        issuer: one or more, of which a token has to name one.
        leeway: seconds by which clocks may differ.
        query: the parameter of the URL that holds the token; None for no such.
        cookie: the cookie that holds it. Browsers send it for pages from anywhere: set ``origins`` as well.
        header: whether ``Authorization: Bearer …`` may hold it, which pages can't set.
        subprotocol: the name behind which it stands in the list of subprotocols, ``new WebSocket(url, [name, token])``.

    Raises:
        ConfigurationError: a parameter can't be right, or PyJWT is not installed.

    Attributes:
        weakness: what is wrong with a key that is shorter than it should be; None with any other.
    """

    def __init__(
        self,
        key: Any,
        algorithms: Sequence[str],
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        *,
        leeway: float = 0,
        query: str | None = "token",
        cookie: str | None = None,
        header: bool = True,
        subprotocol: str | None = None,
    ) -> None:
        self.algorithms = [algorithms] if isinstance(algorithms, str) else list(algorithms)
        self.audience = _strings(audience)
        self.issuer = _strings(issuer)
        self.leeway = leeway
        self.query = query
        self.cookie = cookie
        self.header = header
        self.subprotocol = subprotocol
        if not (query or cookie or header or subprotocol):
            raise ConfigurationError("JWTAuth: no token can be shown: name a query, cookie, header or subprotocol")
        if isinstance(leeway, bool) or not isinstance(leeway, int | float) or leeway < 0:
            raise ConfigurationError(f"JWTAuth: leeway is {leeway!r}: it takes a number of seconds that is not below 0")
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("JWTAuth needs PyJWT: pip install 'tidegate[jwt]'") from None
        self._key, self.weakness = _prepare(jwt, key, self.algorithms)
        self._given = key
        self._check = jwt.decode
        self._errors = (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError)
        self._throttle = Throttle(logger)

    def __repr__(self) -> str:
        return f"<JWTAuth {', '.join(self.algorithms)}>"

    def __call__(self, handshake: Handshake) -> Identity | None:
        """Who has sent a handshake; None where it shows no valid token."""
        token = self.find(handshake)
        return None if token is None else self.verify(token)

    def find(self, handshake: Handshake) -> str | None:
        """The token that a handshake shows, valid or not."""
        authorization = handshake.headers.get("authorization", "") if self.header else ""
        if authorization[: len(SCHEME)].lower() == SCHEME:
            return authorization[len(SCHEME) :].strip()
        if self.subprotocol is not None:
            offered = handshake.tokens("sec-websocket-protocol")
            if self.subprotocol in offered[:-1]:
                return offered[offered.index(self.subprotocol) + 1]
        if self.query is not None and (token := handshake.query.get(self.query)):
            return token
        return (handshake.cookies.get(self.cookie) if self.cookie is not None else None) or None

    def verify(self, token: str) -> Identity | None:
        """Who a token names; None where it is not valid."""
        try:
            return self._read(token)
        except self._errors as error:  # PyJWT's, and what a claim causes that is of no type it could be
            reason = f"{type(error).__name__}: {error}"[:SHOWN]
            self._throttle.log(logging.INFO, "JWTAuth: a token is refused: %r", reason)
            return None

    def _read(self, token: str) -> Identity:
        if len(token) > MAX_TOKEN:
            raise ValueError(f"it has {len(token)} characters, over {MAX_TOKEN}")
        claims = self._decode(token)
        exp = claims.get("exp")
        identity = Identity(_uid(claims.get("sub")), claims, expires_at=None if exp is None else int(exp) + self.leeway)
        pack_identity(identity)
        return identity

    def _decode(self, token: str) -> dict[str, Any]:
        if self.weakness is None:
            return self._verify_all(token)
        with warnings.catch_warnings():  # said at the start already
            warnings.simplefilter("ignore")
            return self._verify_all(token)

    def _verify_all(self, token: str) -> dict[str, Any]:
        return self._check(
            token,
            self._key,
            algorithms=self.algorithms,
            audience=self.audience,
            issuer=self.issuer,
            leeway=self.leeway,
            options={"require": ["sub"], "verify_sub": False},  # it may be a number here
        )

    # For processes that do not import the module where it was made

    def plain(self) -> dict[str, Any] | None:
        """What it was made of, for JSON; None where the key is an object."""
        key = self._given
        if isinstance(key, bytes):
            key = key.hex()
        elif not isinstance(key, str):
            return None
        names = ("algorithms", "audience", "issuer", "leeway", "query", "cookie", "header", "subprotocol")
        settings = {name: getattr(self, name) for name in names}
        return {"key": key, "is_hex": isinstance(self._given, bytes), **settings}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> JWTAuth:
        """Make it of that."""
        settings = dict(plain)
        key = settings.pop("key")
        return cls(bytes.fromhex(key) if settings.pop("is_hex") else key, **settings)


def _strings(value: str | Sequence[str] | None) -> list[str] | None:
    if value is None:
        return None
    strings = [value] if isinstance(value, str) else list(value)
    if not strings or not all(isinstance(each, str) and each for each in strings):
        raise ConfigurationError(f"JWTAuth: audience and issuer are texts or lists of texts, not {value!r}")
    return strings


def _uid(sub: Any) -> str | int:
    if isinstance(sub, bool) or not isinstance(sub, str | int):
        raise TypeError(f"its sub is {type(sub).__name__}, where a text or a whole number is expected")
    return sub


def _prepare(jwt: Any, key: Any, algorithms: Sequence[Any]) -> tuple[Any, str | None]:
    """Make the key of what was given, once; gives it and its weakness. Errors don't show it."""
    known = jwt.algorithms.get_default_algorithms()
    if not algorithms:
        raise ConfigurationError('JWTAuth: name the algorithms that tokens may be signed with, such as ["HS256"]')
    for name in algorithms:
        if not isinstance(name, str) or name.lower() == "none":
            raise ConfigurationError("JWTAuth: the algorithm 'none' is no signature: anybody can write such a token")
        if name in jwt.algorithms.requires_cryptography and name not in known:
            raise ConfigurationError(f"JWTAuth: {name} needs the package cryptography: pip install 'tidegate[jwt]'")
        if name not in known:
            raise ConfigurationError(f"JWTAuth: there is no algorithm {name!r}; there are {', '.join(sorted(known))}")
    if 0 < sum(name in SYMMETRIC for name in algorithms) < len(algorithms):
        raise ConfigurationError(
            f"JWTAuth: {', '.join(algorithms)} do not go together: "
            "what is a public key for some would be a secret for others"
        )
    prepared: Any = None
    for name in algorithms:
        try:
            prepared = known[name].prepare_key(key)
        except Exception as error:  # whose text may show a part of it
            raise ConfigurationError(f"JWTAuth: the key is none for {name} ({type(error).__name__})") from None
    if name not in SYMMETRIC and hasattr(prepared, "public_key"):
        prepared = prepared.public_key()
    return prepared, next(filter(None, (known[name].check_key_length(prepared) for name in algorithms)), None)

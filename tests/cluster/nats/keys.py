"""Keys, tokens and files with which a client comes in at a NATS server, as the nsc tool makes them."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import nkeys

PREFIXES = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}


class Key:
    """One of a kind.

    Attributes:
        public: as others know it.
        seed: what its owner keeps.
    """

    def __init__(self, kind: str) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), PREFIXES[kind]).decode()
        self._pair = nkeys.from_seed(self.seed.encode())
        self.public = self._pair.public_key.decode().rstrip("=")

    def sign(self, subject: Key, name: str, **nats: Any) -> str:
        """A JWT that says who somebody is."""
        claims = {"jti": name, "iat": 1, "iss": self.public, "name": name, "sub": subject.public, "nats": nats}
        text = ".".join(_encode(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{text}.{_encode(self._pair.sign(text.encode()))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def operated() -> tuple[str, str]:
    """The settings of a server that trusts an operator, and the creds of one of its users."""
    operator, account, user = Key("operator"), Key("account"), Key("user")
    operator_jwt = operator.sign(operator, "operator", type="operator", version=2)
    no_limit = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    limits = {**no_limit, "wildcards": True}
    account_jwt = operator.sign(account, "account", type="account", version=2, limits=limits)
    no_limit = dict.fromkeys(("subs", "data", "payload"), -1)
    user_jwt = account.sign(user, "user", type="user", version=2, **no_limit)
    config = f"operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload {{ {account.public}: {account_jwt} }}"
    creds = (
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
    return config, creds

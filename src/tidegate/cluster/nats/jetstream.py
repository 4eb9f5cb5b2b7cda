"""JetStream's JSON API, as far as a key-value bucket needs it, without I/O: what is asked, and how answers are read."""

from __future__ import annotations

import json
from typing import Any

from tidegate.cluster.nats.protocol import Info, Message
from tidegate.errors import ClusterError, ConfigurationError

__all__ = [
    "DISABLED",
    "JetStreamError",
    "check_version",
    "encode_body",
    "is_empty",
    "is_missing",
    "is_temporary",
    "read_answer",
]

NEEDED = (2, 11)
"""The first version whose entries can have a time to live of their own, and tell of its end."""

DISABLED = (
    "JetStream is not enabled for this account of NATS, and the cluster keeps its members there: start the "
    "servers with 'jetstream {}' in their configuration, or with -js; at a leaf node, name the domain of the JetStream "
    "behind it: nats://host?js_domain=name"
)
DISABLED_CODES = {10039, 10076}
NO_MESSAGE = 10037
MISSING = {NO_MESSAGE, 10059}
TEMPORARY = {10008, 10009, 10023, 10077}
"""No leader yet, not enough resources at the moment, or an answer that was lost between servers."""


class JetStreamError(ClusterError):
    """What JetStream refused.

    Attributes:
        code: its own, as in the ``errors.json`` of the server.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def check_version(info: Info, server: str) -> None:
    """See that a server can do what is needed.

    Raises:
        ConfigurationError: it is too old.
    """
    numbers = info.version.split("-")[0].split(".")[:2]
    try:
        found = tuple(map(int, numbers))
    except ValueError:
        found = (0,)
    if found < NEEDED:
        raise ConfigurationError(
            f"NATS server {server} has version {info.version or 'unknown'}: the cluster needs 2.11 or newer, whose "
            "key-value entries can have a time to live of their own"
        )


def encode_body(fields: dict[str, Any]) -> bytes:
    """A request."""
    return json.dumps(fields, separators=(",", ":")).encode()


def read_answer(message: Message) -> dict[str, Any]:
    """What JetStream answered.

    Raises:
        JetStreamError: it refuses.
        ConfigurationError: it is not enabled.
        ClusterError: it is no answer of JetStream's.
    """
    try:
        fields = json.loads(message.payload)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ClusterError("JetStream answered with what is no JSON object")
    error = fields.get("error")
    if error is None:
        return fields
    if not isinstance(error, dict):
        raise ClusterError("JetStream answered with an error that is none")
    code, text = error.get("err_code", 0), error.get("description", "")
    if code in DISABLED_CODES:
        raise ConfigurationError(DISABLED)
    raise JetStreamError(f"JetStream refuses: {text}", code if isinstance(code, int) else 0)


def is_temporary(error: ClusterError) -> bool:
    """Whether it may be better in a moment."""
    return not isinstance(error, JetStreamError) or error.code in TEMPORARY


def is_empty(error: ClusterError) -> bool:
    """Whether nothing is there of what was asked about."""
    return isinstance(error, JetStreamError) and error.code == NO_MESSAGE


def is_missing(error: ClusterError) -> bool:
    """Whether what was asked about is not there, or nothing of it."""
    return isinstance(error, JetStreamError) and error.code in MISSING

"""What callers of the push API hand over: client ids, uids, groups, messages, sessions. Read and checked, no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

from tidegate.wire import php
from tidegate.wire.client_id import parse_client_id
from tidegate.wire.packet import MAX_NAME_SIZE

__all__ = [
    "ClientIds",
    "Message",
    "Name",
    "Names",
    "Session",
    "Token",
    "by_gateway",
    "encode_json",
    "encode_message",
    "encode_name",
    "encode_names",
    "encode_session",
    "encode_token",
]

Message: TypeAlias = str | bytes
"""`str` for a text frame, `bytes` for a binary one."""
Name: TypeAlias = str | int
"""A uid or a group."""
Names: TypeAlias = Name | Iterable[Name]
ClientIds: TypeAlias = str | Iterable[str]
Token: TypeAlias = Annotated[str, "a token"]
"""What a client shows to say who it is."""
Session: TypeAlias = Mapping[Any, Any]
"""Of what PHP has too: None, bool, int, float, str, bytes, lists and mappings."""

MAX_JSON_INT = 2**63 - 1
"""PHP reads a larger number in JSON as a float."""

_encoder = json.JSONEncoder(separators=(",", ":"))


def encode_json(value: Any) -> bytes:
    """JSON with the escapes that PHP's `json_encode` makes."""
    return _encoder.encode(value).replace("/", "\\/").encode()


def encode_message(message: Message) -> bytes:
    """The bytes of a message.

    Raises:
        TypeError: it is neither str nor bytes.
        ValueError: it is text that has no UTF-8.
    """
    if isinstance(message, str):
        return _encode(message, "message")
    if isinstance(message, bytes):
        return message
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}: turn it into JSON, perhaps")


def encode_name(name: Name, what: str) -> bytes:
    """A uid or a group as it is written in ext data.

    Args:
        what: "uid" or "group", for the error.

    Raises:
        TypeError: it is neither str nor int.
        ValueError: it is empty, too long, or text that has no UTF-8.
    """
    if isinstance(name, str):
        if not name:
            raise ValueError(f"an empty {what}: nothing can have that")
        raw = _encode(name, what)
        if len(raw) > MAX_NAME_SIZE:
            raise ValueError(f"a {what} of {len(raw)} bytes: the longest has {MAX_NAME_SIZE}")
        return raw
    if isinstance(name, int) and not isinstance(name, bool):
        return str(int(name)).encode()
    raise TypeError(f"a {what} is str or int, not {type(name).__name__}")


def encode_names(names: Names, what: str) -> dict[str, bytes]:
    """One or many uids or groups, each once and in order: as text, with its JSON.

    Raises:
        TypeError, ValueError: as with `encode_name`.
    """
    if isinstance(names, (str, int)):  # faster than to make a union each time
        names = (names,)
    elif isinstance(names, bytes | bytearray | memoryview) or not isinstance(names, Iterable):
        raise TypeError(f"{what}s are str or int, or an iterable of them, not {type(names).__name__}")
    found: dict[str, bytes] = {}
    for name in names:
        raw = encode_name(name, what)
        if isinstance(name, str):
            found.setdefault(name, encode_json(name))
        else:
            found.setdefault(raw.decode(), raw if abs(name) <= MAX_JSON_INT else b'"%s"' % raw)
    return found


def by_gateway(client_ids: ClientIds) -> dict[str, dict[int, None]]:
    """One or many client ids: the connection ids, each once and in order, by the gateway's address.

    Raises:
        TypeError: it is no iterable.
        ValueError: one of them is no client id.
    """
    if isinstance(client_ids, str):
        client_ids = (client_ids,)
    elif not isinstance(client_ids, Iterable):
        raise TypeError(f"client ids are one str or an iterable of them, not {type(client_ids).__name__}")
    found: dict[str, dict[int, None]] = {}
    for client_id in client_ids:
        address, connection_id = parse_client_id(client_id)
        found.setdefault(address, {})[connection_id] = None
    return found


def encode_session(session: Session) -> bytes:
    """A session as a gateway keeps it.

    Raises:
        TypeError: it is no mapping, or has what can't be serialized.
        OverflowError: it has an integer of more than 64 bits.
    """
    if not isinstance(session, Mapping):
        raise TypeError(f"a session is a dict, not {type(session).__name__}")
    return php.dumps(session)


def encode_token(token: Token) -> bytes:
    """The bytes of a token; errors don't show it.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, or text that has no UTF-8.
    """
    if not isinstance(token, str):
        raise TypeError(f"a token is str, not {type(token).__name__}")
    if not token:
        raise ValueError("an empty token: nobody can show that")
    return _encode(token, "token")


def _encode(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a {what} that is no Unicode text: {error.reason}") from None

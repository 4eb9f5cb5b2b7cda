"""What the push API's methods take and give, in JSON: how it is described (JSON Schema) and read.

JSON has no bytes: ``{"base64": "…"}`` stands for them, both ways.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args, get_origin

from tidegate.client.arguments import ClientIds, Message, Name, Names, Session, Token
from tidegate.wire import php
from tidegate.wire.client_id import parse_client_id

__all__ = ["KINDS", "SCHEMAS", "Kind", "result_schema", "to_json"]

Schema: TypeAlias = dict[str, Any]

CLIENT_ID_SCHEMA: Schema = {"type": "string", "pattern": "^[0-9a-f]{20}$", "description": "20 hex digits"}
NAME_SCHEMA: Schema = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
BYTES_SCHEMA: Schema = {
    "type": "object",
    "properties": {"base64": {"type": "string", "contentEncoding": "base64", "pattern": BASE64}},
    "required": ["base64"],
    "additionalProperties": False,
}
SESSION_VALUE: Schema = {"$ref": "#/components/schemas/SessionValue"}
SESSION_SCHEMA: Schema = {"type": "object", "additionalProperties": SESSION_VALUE}
SCHEMAS: Mapping[str, Schema] = {
    "SessionValue": {
        "description": 'What PHP has too. {"base64": "…"} stands for bytes; numbers have 64 bits.',
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": php.INT_MIN, "maximum": php.INT_MAX},
            {"type": "array", "items": SESSION_VALUE},
            {"type": "object", "additionalProperties": SESSION_VALUE},
        ],
    }
}
"""Those that others refer to."""


NOUNS = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True, slots=True)
class Kind:
    """Of an argument.

    Attributes:
        schema: of it in JSON.
        read: makes the argument of what JSON or a query brought, where bytes may be bytes; raises ValueError.
        takes_many: a list is one, too.
    """

    schema: Schema
    read: Callable[[Any], Any]
    takes_many: bool = False


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"it takes a text, not {_noun(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no text") from None
    return value


def _read_bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError('its "base64" is none') from None


def _read_message(value: Any) -> str | bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return _read_bytes(value["base64"])
    if not isinstance(value, str):
        raise ValueError(f'it takes a text, or {{"base64": "…"}} for a binary message, not {_noun(value)}')
    return _read_text(value)


def _read_name(value: Any) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(f"it takes a text or an integer, not {_noun(value)}")
    if not value:
        raise ValueError("it is empty")
    return _read_text(value)


def _read_token(value: Any) -> str:
    if not _read_text(value):
        raise ValueError("it is empty")
    return str(value)


def _read_client_id(value: Any) -> str:
    parse_client_id(value)
    return str(value)


def _read_switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"it takes true or false, not {_noun(value)}")
    return value


def _one_or_many(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_any(value: Any) -> Any:
        return [read(item) for item in value] if isinstance(value, list) else read(value)

    return read_any


def _read_session(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it takes an object, not {_noun(value)}")
    try:
        session = {key: _read_value(item) for key, item in value.items()}
        php.dumps(session)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no text") from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    return session


def _read_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_read_value(item) for item in value]
    if isinstance(value, int | float) and not php.INT_MIN <= value <= php.INT_MAX:
        raise ValueError("it has a number of more than 64 bits: write that as a text")
    if not isinstance(value, dict):
        return value
    if value.keys() == {"base64"} and isinstance(value["base64"], str):
        return _read_bytes(value["base64"])
    return {key: _read_value(item) for key, item in value.items()}


def _noun(value: Any) -> str:
    if value is None:
        return "null"
    return NOUNS.get(type(value), "bytes")


def _many(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


KINDS: Mapping[Any, Kind] = {
    str: Kind(CLIENT_ID_SCHEMA, _read_client_id),
    Token: Kind({"type": "string", "minLength": 1}, _read_token),
    ClientIds: Kind(_many(CLIENT_ID_SCHEMA), _one_or_many(_read_client_id), takes_many=True),
    Name: Kind(NAME_SCHEMA, _read_name),
    Names: Kind(_many(NAME_SCHEMA), _one_or_many(_read_name), takes_many=True),
    Message: Kind({"anyOf": [{"type": "string"}, BYTES_SCHEMA]}, _read_message),
    Session: Kind(SESSION_SCHEMA, _read_session),
    bool: Kind({"type": "boolean"}, _read_switch),
}
"""By the type in the method's signature. A plain `str` is a client id in all of them."""


def result_schema(annotation: Any) -> Schema:
    """Describe what a method gives, from its signature."""
    if annotation in (None, type(None)):
        return {"type": "null"}
    simple = {bool: "boolean", int: "integer", str: "string"}
    if annotation in simple:
        return {"type": simple[annotation]}
    arguments = get_args(annotation)
    if get_origin(annotation) is list:
        return {"type": "array", "items": result_schema(arguments[0])}
    if get_origin(annotation) is dict:
        return {"type": "object"} | (
            {} if arguments[1] is Any else {"additionalProperties": result_schema(arguments[1])}
        )
    return {"anyOf": [result_schema(argument) for argument in arguments]}


def to_json(value: Any) -> Any:
    """A result as JSON can have it: bytes in base64, keys as text, a number that is none or infinite as null."""
    if isinstance(value, dict):
        return {_key(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _key(key: Any) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)

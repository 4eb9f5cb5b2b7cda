"""What ON_WEBSOCKET_CONNECT tells of a client's request, as handlers get it (wire protocol, "205").

The body is what PHP has in `$_GET`, `$_SERVER` and `$_COOKIE`; a `Handshake` is made of the request's own words in it,
so that it is the same whoever wrote the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from tidegate.protocols import Handshake
from tidegate.protocols.handshake import read_cookies, split_target
from tidegate.wire import php

__all__ = ["read_handshake"]

HEADER_PREFIX = "HTTP_"
NAMES_KEPT = 256
"""Variables whose headers are at hand; clients choose their names, which are under 16 KiB long."""


def read_handshake(body: bytes, remote_ip: str) -> Handshake:
    """Read the body of ON_WEBSOCKET_CONNECT. What is missing in it is empty.

    Raises:
        PHPValueError: it is no serialized array.
    """
    request = php.loads(body)
    if not isinstance(request, list | dict):
        raise php.PHPValueError("a request that is no array")
    request = _map(request)
    server = _map(request.get("server"))
    target = _text(server.get("REQUEST_URI"))
    path, query = split_target(target)
    query = _text(server.get("QUERY_STRING")) or query
    headers = _headers(server)
    cookie = headers.get("cookie")
    return Handshake(
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=headers,
        cookies=_flat(request.get("cookie")) if cookie is None else read_cookies(cookie),
        remote_ip=remote_ip or _text(server.get("REMOTE_ADDR")).strip("[]"),
        target=target or "/",
    )


def _headers(server: Mapping[Any, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for variable, value in server.items():
        if value is not None and (name := _header_name(variable)):
            headers[name] = value if type(value) is str else _text(value)
    for name, key in (("host", "SERVER_NAME"), ("content-type", "CONTENT_TYPE")):
        if name not in headers and server.get(key) is not None:
            headers[name] = _text(server[key])
    return headers


@lru_cache(NAMES_KEPT)
def _header_name(variable: object) -> str:
    """The header that a variable has; none where it has none."""
    if not isinstance(variable, str) or not variable.startswith(HEADER_PREFIX):
        return ""
    return variable.removeprefix(HEADER_PREFIX).replace("_", "-").lower()


def _flat(value: Any) -> dict[str, str]:
    """What PHP has in one of its arrays, as far as it is text."""
    return {_text(name): _text(text) for name, text in _map(value).items() if not isinstance(text, list | dict)}


def _map(value: Any) -> Mapping[Any, Any]:
    """An array, which reads as a list where it is empty or its keys are 0, 1, 2 …"""
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, bytes):  # as header values are read
        return value.decode("latin-1")
    return "" if value is None else str(value)

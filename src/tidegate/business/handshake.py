"""What ON_WEBSOCKET_CONNECT tells of a client's request, as handlers get it (wire protocol, "205").

The body is what PHP has in `$_GET`, `$_SERVER` and `$_COOKIE`; a `Handshake` is made of the request's own words in it,
so that it is the same whoever wrote the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from tidegate.protocols import Handshake
from tidegate.wire import php

__all__ = ["read_handshake"]

HEADER_PREFIX = "HTTP_"


def read_handshake(body: bytes, remote_ip: str) -> Handshake:
    """Read the body of ON_WEBSOCKET_CONNECT. What is missing in it is empty.

    Raises:
        PHPValueError: it is no serialized array.
    """
    request = php.loads_array(body)
    server = _map(request.get("server"))
    target, _, query = _text(server.get("REQUEST_URI")).partition("?")
    headers = _headers(server)
    cookie = headers.get("cookie")
    return Handshake(
        path=unquote(target) or "/",
        query=dict(parse_qsl(_text(server.get("QUERY_STRING")) or query, keep_blank_values=True)),
        headers=headers,
        cookies=_flat(request.get("cookie")) if cookie is None else _cookies(cookie),
        remote_ip=remote_ip or _text(server.get("REMOTE_ADDR")).strip("[]"),
        target=_text(server.get("REQUEST_URI")) or "/",
    )


def _headers(server: Mapping[Any, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in server.items():
        if isinstance(name, str) and name.startswith(HEADER_PREFIX) and value is not None:
            headers[name.removeprefix(HEADER_PREFIX).replace("_", "-").lower()] = _text(value)
    for name, key in (("host", "SERVER_NAME"), ("content-type", "CONTENT_TYPE")):
        if name not in headers and server.get(key) is not None:
            headers[name] = _text(server[key])
    return headers


def _cookies(header: str) -> dict[str, str]:
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            cookies[name] = value
    return cookies


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

"""A WebSocket handshake as PHP has it: the body of ON_WEBSOCKET_CONNECT (wire protocol, command 205)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from tidegate.protocols import Handshake
from tidegate.wire import php

__all__ = ["parse_str", "request_body"]

MAX_DEPTH = 32
"""Brackets of a query parameter's name, below what a serialized value may have."""
BRACKETS = re.compile(rb"\[([^\]]*)\]")


def request_body(handshake: Handshake, remote_port: int, server_port: int) -> bytes:
    """``{"get": …, "server": …, "cookie": …}``, serialized."""
    query = handshake.target.partition("?")[2]
    ip = handshake.remote_ip
    server: dict[str, Any] = {
        "QUERY_STRING": query,
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": handshake.target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": handshake.headers.get("host"),
        "CONTENT_TYPE": handshake.headers.get("content-type"),
        "REMOTE_ADDR": f"[{ip}]" if ":" in ip else ip,
        "REMOTE_PORT": remote_port,
        "SERVER_PORT": server_port,
    }
    for name, value in handshake.headers.items():
        server[f"HTTP_{name.replace('-', '_').upper()}"] = value
    body = {"get": parse_str(query.encode("latin-1")), "server": _raw(server), "cookie": _raw(handshake.cookies)}
    return php.dumps(body)


def _raw(fields: dict[str, Any]) -> dict[bytes, Any]:
    """Headers are bytes that were read as Latin-1."""
    return {
        key.encode("latin-1"): value.encode("latin-1") if isinstance(value, str) else value
        for key, value in fields.items()
    }


def parse_str(query: bytes) -> dict[bytes, Any]:
    """A query string as PHP's function of that name reads it: ``a[]=1&a[k]=2`` nests, the last of a name wins."""
    found: dict[bytes, Any] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        key = unquote_to_bytes(name.replace(b"+", b" ")).lstrip(b" ")
        if key and not key.startswith(b"["):
            _put(found, _path(key), unquote_to_bytes(value.replace(b"+", b" ")))
    return found


def _path(key: bytes) -> list[bytes | None]:
    """The keys one inside the other; None is the next free one."""
    head, bracket, _ = key.partition(b"[")
    path: list[bytes | None] = [re.sub(rb"[ .]", b"_", head)]
    position = len(head)
    while bracket and (match := BRACKETS.match(key, position)) and len(path) <= MAX_DEPTH:
        path.append(match[1] or None)
        position = match.end()
    if bracket and len(path) == 1:  # a bracket that is never closed
        return [re.sub(rb"[ .[]", b"_", key, count=0)]
    return path


def _put(found: dict[bytes, Any], path: list[bytes | None], value: bytes) -> None:
    at: dict[bytes, Any] = found
    for step, key in enumerate(path):
        name = _next_key(at) if key is None else key
        if step == len(path) - 1:
            at[name] = value
            return
        inner = at.get(name)
        if not isinstance(inner, dict):
            inner = at[name] = {}
        at = inner


def _next_key(array: dict[bytes, Any]) -> bytes:
    numbers = [int(key) for key in array if key.isdigit() and len(key) < 19]
    return b"%d" % (max(numbers) + 1 if numbers else 0)

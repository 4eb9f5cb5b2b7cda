"""A WebSocket handshake as PHP has it: the body of ON_WEBSOCKET_CONNECT (wire protocol, command 205)."""

from __future__ import annotations

from typing import Any

from tidegate.protocols import Handshake
from tidegate.wire import php
from tidegate.wire.query_string import parse_str

__all__ = ["request_body"]


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

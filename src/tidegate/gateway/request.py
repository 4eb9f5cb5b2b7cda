"""A WebSocket handshake as PHP has it: the body of ON_WEBSOCKET_CONNECT (wire protocol, command 205)."""

from __future__ import annotations

from functools import lru_cache

from tidegate.protocols import Handshake
from tidegate.protocols.handshake import split_target
from tidegate.wire import php
from tidegate.wire.query_string import parse_str

__all__ = ["request_body"]

NAMES_KEPT = 256
"""Variables whose serialized names are at hand. Clients choose their headers' names, which are under 16 KiB long."""
NOTHING = b"a:0:{}"


def request_body(handshake: Handshake, remote_port: int, server_port: int) -> bytes:
    """``{"get": …, "server": …, "cookie": …}``, serialized."""
    target, headers = handshake.target, handshake.headers
    _, query = split_target(target)
    ip = handshake.remote_ip
    server = {
        _key("QUERY_STRING"): _text(query),
        _key("REQUEST_METHOD"): b's:3:"GET";',
        _key("REQUEST_URI"): _text(target),
        _key("SERVER_PROTOCOL"): b's:8:"HTTP/1.1";',
        _key("SERVER_NAME"): _text(headers.get("host")),
        _key("CONTENT_TYPE"): _text(headers.get("content-type")),
        _key("REMOTE_ADDR"): _text(f"[{ip}]" if ":" in ip else ip),
        _key("REMOTE_PORT"): b"i:%d;" % remote_port,
        _key("SERVER_PORT"): b"i:%d;" % server_port,
    }
    for name, value in headers.items():
        server[_header_key(name)] = _text(value)
    return b'a:3:{s:3:"get";%ss:6:"server";%ss:6:"cookie";%s}' % (
        php.dumps(parse_str(query.encode("latin-1"))) if query else NOTHING,
        php.join_array(server),
        _array(handshake.cookies),
    )


@lru_cache(NAMES_KEPT)
def _key(name: str) -> bytes:
    return php.dumps_key(name.encode("latin-1"))


@lru_cache(NAMES_KEPT)
def _header_key(name: str) -> bytes:
    return _key(f"HTTP_{name.replace('-', '_').upper()}")


def _text(text: str | None) -> bytes:
    """Headers are bytes that were read as Latin-1."""
    return b"N;" if text is None else php.dump_bytes(text.encode("latin-1"))


def _array(fields: dict[str, str]) -> bytes:
    if not fields:
        return NOTHING
    return php.join_array({php.dumps_key(name.encode("latin-1")): _text(value) for name, value in fields.items()})

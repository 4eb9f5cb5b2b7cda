"""The HTTP request that opens a WebSocket connection, and its answers (RFC 6455 section 4.2)."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

import httptools

from tidegate.errors import ProtocolError

__all__ = [
    "MAX_REQUEST_SIZE",
    "Handshake",
    "HandshakeError",
    "accept_response",
    "choose_subprotocol",
    "parse_request",
    "read_cookies",
    "reject_response",
    "split_target",
]

MAX_REQUEST_SIZE = 16 * 1024
"""Bytes of request line and headers; nginx takes 4 × 8 KiB, Node 16 KiB, gunicorn 8 KiB a header."""

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
KEY = re.compile("[A-Za-z0-9+/]{22}==")
"""16 bytes in base64."""
TARGET = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*)?([^?#]*)(?:\?([^#]*))?", re.DOTALL)
ONCE = ("host", "sec-websocket-key", "sec-websocket-version")

TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
SUBPROTOCOL = re.compile(TCHARS)
# An extension's name or one of its parameters (RFC 6455 section 9.1). What is quoted must be a token too, so that no
# comma or semicolon hides in it.
EXTENSION_PART = re.compile(rf'{TCHARS}(?:[ \t]*=[ \t]*(?:{TCHARS}|"{TCHARS}"))?')


@dataclass(slots=True)
class Handshake:
    """What a client said when it opened its WebSocket connection.

    Attributes:
        path: of the request's target, percent-decoded.
        query: its parameters, the last one of a name.
        headers: by name in lower case; repeated ones joined by a comma.
        cookies: as they came, not decoded.
        remote_ip: the address that the connection comes from.
        identity: who it is, where something has found that out.
        target: path and query as they came.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    cookies: dict[str, str]
    remote_ip: str = ""
    key: str = field(default="", repr=False)
    target: str = field(default="", repr=False)
    identity: Any = field(default=None, repr=False)

    def tokens(self, header: str) -> list[str]:
        """The elements of a comma-separated header."""
        if header not in self.headers:
            return []
        return [token for part in self.headers[header].split(",") if (token := part.strip())]


class HandshakeError(ProtocolError):
    """A request that does not become a WebSocket connection; `status` is the HTTP answer's."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


class _Collector:
    """Takes what httptools calls back with."""

    __slots__ = ("headers", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower().decode("latin-1")
        text = value.decode("latin-1").strip()
        if key not in self.headers:
            self.headers[key] = text
        elif key in ONCE:
            raise HandshakeError(400, f"the header {key} comes twice")
        else:
            self.headers[key] += ("; " if key == "cookie" else ",") + text


def parse_request(head: bytes) -> Handshake:
    """Read a request up to and with its empty line, and see that it asks for a WebSocket.

    Raises:
        HandshakeError: with 426 for a plain HTTP request or another version, with 400 for anything else.
    """
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserCallbackError as error:
        cause = error.__context__
        if isinstance(cause, HandshakeError):
            raise cause from None
        raise HandshakeError(400, "the request can't be read") from error
    except httptools.HttpParserError as error:
        raise HandshakeError(400, f"the request is no HTTP: {error}") from error
    handshake = _read(collector)
    _check(handshake, parser.get_method(), parser.get_http_version())
    return handshake


def _read(collector: _Collector) -> Handshake:
    try:
        httptools.parse_url(collector.target)
    except httptools.HttpParserInvalidURLError as error:
        raise HandshakeError(400, "the request's target can't be read") from error
    cookie = collector.headers.get("cookie")
    target = collector.target.decode("latin-1")
    path, query = split_target(target)
    return Handshake(
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        headers=collector.headers,
        cookies=read_cookies(cookie) if cookie else {},
        target=target,
    )


def split_target(target: str) -> tuple[str, str]:
    """The path and the query of a request's target, neither decoded; it may be a whole URL (RFC 9112 section 3.2.2)."""
    match = TARGET.match(target)
    assert match is not None  # it matches any text
    return match[1] or "/", match[2] or ""


def read_cookies(header: str) -> dict[str, str]:
    """The cookies of a header, as they came; what has no name is left out."""
    cookies: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            cookies[name] = value
    return cookies


def _lists(headers: Mapping[str, str], header: str, token: str) -> bool:
    """Whether a token, in capitals or not, is in a comma-separated header, most often alone."""
    value = headers.get(header, "").lower()
    return value == token or token in [part.strip() for part in value.split(",")]


def _check(handshake: Handshake, method: bytes, version: str) -> None:
    headers = handshake.headers
    if not _lists(headers, "upgrade", "websocket"):
        raise HandshakeError(
            426,
            "this port speaks WebSocket: the request needs 'Upgrade: websocket' and 'Connection: Upgrade'",
            {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        )
    if method != b"GET":
        raise HandshakeError(400, f"a WebSocket handshake is a GET, not a {method.decode('latin-1')}")
    if not handshake.path.startswith("/"):
        raise HandshakeError(400, f"the request's target is {handshake.path!r}, which is no path")
    if version in ("0.9", "1.0"):
        raise HandshakeError(400, f"a WebSocket handshake needs HTTP/1.1, not {version}")
    if not _lists(headers, "connection", "upgrade"):
        raise HandshakeError(400, "the header Connection does not list 'Upgrade'")
    if not headers.get("host"):
        raise HandshakeError(400, "the header Host is missing")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise HandshakeError(400, "a WebSocket handshake has no body")
    if "sec-websocket-version" not in headers:
        raise HandshakeError(400, "the header Sec-WebSocket-Version is missing")
    if headers["sec-websocket-version"] != "13":
        raise HandshakeError(
            426,
            f"WebSocket version {headers['sec-websocket-version']} is not spoken here, version 13 is",
            {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        )
    key = headers.get("sec-websocket-key", "")
    if not KEY.fullmatch(key):
        raise HandshakeError(400, "the header Sec-WebSocket-Key is not 16 bytes in base64")
    if not all(map(SUBPROTOCOL.fullmatch, handshake.tokens("sec-websocket-protocol"))):
        raise HandshakeError(400, "the header Sec-WebSocket-Protocol can't be read")
    extensions = handshake.tokens("sec-websocket-extensions")
    if not all(EXTENSION_PART.fullmatch(part.strip()) for offer in extensions for part in offer.split(";")):
        raise HandshakeError(400, "the header Sec-WebSocket-Extensions can't be read")
    handshake.key = key


def choose_subprotocol(handshake: Handshake, supported: Sequence[str]) -> str | None:
    """The first of the client's subprotocols, which it lists in order of preference, that is supported."""
    for offered in handshake.tokens("sec-websocket-protocol") if supported else ():
        if offered in supported:
            return offered
    return None


def accept_response(key: str, subprotocol: str | None, extension: str | None) -> bytes:
    """The answer that opens the connection (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + ACCEPT_GUID, usedforsecurity=False).digest()
    more = "\r\n"
    if subprotocol is not None:
        more += f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    if extension is not None:
        more += f"Sec-WebSocket-Extensions: {extension}\r\n"
    return b"%s%s%s\r\n" % (ACCEPTED, binascii.b2a_base64(digest, newline=False), more.encode("latin-1"))


def reject_response(error: HandshakeError) -> bytes:
    """The answer that refuses it, with the reason as text."""
    body = (error.reason + "\n").encode()
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        *(f"{name}: {value}" for name, value in error.headers.items()),
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close" if "Upgrade" not in error.headers else "Connection: Upgrade, close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

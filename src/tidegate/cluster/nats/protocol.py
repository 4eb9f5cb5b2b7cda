"""The client's side of the NATS protocol, without I/O: bytes in, events out, and the bytes of what a client says.

The protocol is lines, some with a payload behind them (docs.nats.io, "Client protocol"). What the events mean is for
the carriers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from tidegate.cluster.nats.headers import Headers, encode_headers, parse_headers
from tidegate.errors import ProtocolError

__all__ = [
    "MAX_INFO_SIZE",
    "MAX_LINE_SIZE",
    "MAX_PAYLOAD_SIZE",
    "PING",
    "PONG",
    "Event",
    "Info",
    "Message",
    "Parser",
    "Refusal",
    "Signal",
    "encode_connect",
    "encode_publish",
    "encode_subscribe",
    "encode_unsubscribe",
]

MAX_LINE_SIZE = 8 * 1024
"""Bytes: a server takes 4 KiB of a publisher by default, and adds the number of the subscription."""
MAX_INFO_SIZE = 256 * 1024
"""Bytes of INFO, which names the servers of the NATS cluster: room for some thousands."""
MAX_PAYLOAD_SIZE = 64 * 1024 * 1024
"""Bytes of a message: no server can be set to take more."""

PING = b"PING\r\n"
PONG = b"PONG\r\n"

_subject = re.compile(r"[^\x00-\x20\x7f]+")


class Message(NamedTuple):
    """One that came for a subscription.

    Attributes:
        reply: the subject that is to be answered to; empty where none is.
        headers: None where it has none.
        sid: the number of the subscription.
    """

    subject: str
    reply: str
    headers: Headers | None
    payload: bytes
    sid: int


class Info(NamedTuple):
    """What a server says of itself, first of all and whenever it changes.

    Attributes:
        version: its own, such as ``2.11.4``.
        max_payload: bytes of a message, headers among them, that it takes.
        connect_urls: ``host:port`` of other servers.
        nonce: what a key has to sign; empty where none has to.
        fields: all of it.
    """

    version: str
    max_payload: int
    connect_urls: tuple[str, ...]
    nonce: str
    fields: Mapping[str, Any]


class Signal(NamedTuple):
    """``PING``, ``PONG`` or ``+OK``."""

    name: str


class Refusal(NamedTuple):
    """What the server says in ``-ERR``."""

    text: str


Event: TypeAlias = Message | Info | Signal | Refusal

SIGNALS = {b"PING": Signal("PING"), b"PONG": Signal("PONG"), b"+OK": Signal("+OK")}


class Parser:
    """Finds events in a stream.

    Attributes:
        error: set once the stream can't be read any further; what came before it was given.
    """

    __slots__ = ("_needed", "_pending", "error")

    def __init__(self) -> None:
        self._pending = bytearray()  # the beginning of an event
        self._needed = 0  # bytes that it has to have before it is looked at again
        self.error: ProtocolError | None = None

    @property
    def is_amid(self) -> bool:
        """Whether a part of an event has come, and not all of it."""
        return bool(self._pending)

    def feed(self, data: bytes | memoryview) -> list[Event]:
        """Take bytes in; gives the events that are complete with them, in their order."""
        if self.error is not None:
            return []
        pending = self._pending
        if pending:
            pending += data
            if len(pending) < self._needed:
                return []
            data = bytes(pending)
        else:
            data = bytes(data)
        found: list[Event] = []
        try:
            position = self._scan(data, found)
        except ProtocolError as error:
            self.error = error
            self._pending = bytearray()
            return found
        self._pending = bytearray(data[position:])
        return found

    def _scan(self, data: bytes, found: list[Event]) -> int:
        """Take what is complete; gives the position of the first that is not."""
        position, end = 0, len(data)
        self._needed = 0
        while position < end:
            line_end = data.find(b"\r\n", position, position + MAX_INFO_SIZE)
            if line_end < 0:
                _check_size(data[position : position + 5], end - position)
                return position
            line = data[position:line_end]
            if len(line) > MAX_LINE_SIZE:
                _check_size(line[:5], len(line))
            kind, _, rest = line.partition(b" ")
            if kind != b"MSG" and kind != b"HMSG":
                found.append(_read_line(line, kind, rest))
                position = line_end + 2
                continue
            subject, sid, reply, headers_size, size = _read_head(rest.split(), kind == b"HMSG")
            start = line_end + 2
            stop = start + size
            if stop + 2 > end:
                self._needed = stop + 2 - position
                return position
            if data[stop : stop + 2] != b"\r\n":
                raise ProtocolError("a message that is longer than it said")
            headers = parse_headers(data[start : start + headers_size]) if headers_size else None
            found.append(Message(subject, reply, headers, data[start + headers_size : stop], sid))
            position = stop + 2
        return position


def _check_size(begin: bytes, size: int) -> None:
    limit = MAX_INFO_SIZE if b"INFO ".startswith(begin) else MAX_LINE_SIZE
    if size > limit + 1:  # the first byte of its end may have come
        raise ProtocolError(f"a line over {limit} bytes")


def _read_head(words: list[bytes], has_headers: bool) -> tuple[str, int, str, int, int]:
    """Of a message: subject, sid, reply, bytes of headers, bytes with them."""
    count = len(words) - has_headers
    try:
        if count == 3:
            reply = ""
        elif count == 4:
            reply = words[2].decode()
        else:
            raise ValueError
        subject, sid = words[0].decode(), int(words[1])
        size = int(words[-1])
        headers_size = int(words[-2]) if has_headers else 0
    except ValueError:  # UnicodeDecodeError is one
        raise ProtocolError("a message without a subject, a number or a size") from None
    if not 0 <= headers_size <= size <= MAX_PAYLOAD_SIZE or sid < 0:
        raise ProtocolError(f"a message of {size} bytes with {headers_size} of headers")
    if has_headers and not headers_size:
        raise ProtocolError("a message with headers of 0 bytes")
    return subject, sid, reply, headers_size, size


def _read_line(line: bytes, kind: bytes, rest: bytes) -> Event:
    signal = SIGNALS.get(line.rstrip())
    if signal is not None:
        return signal
    if kind == b"INFO":
        return _read_info(rest)
    if kind == b"-ERR":
        return Refusal(rest.strip().strip(b"'").decode("utf-8", "replace"))
    raise ProtocolError(f"a line that begins with {line[:20]!r}")


def _read_info(text: bytes) -> Info:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("INFO without JSON") from None
    if not isinstance(fields, dict):
        raise ProtocolError("INFO that is no object")
    version, nonce = fields.get("version", ""), fields.get("nonce", "")
    limit, urls = fields.get("max_payload", 0), fields.get("connect_urls") or []
    if not isinstance(version, str) or not isinstance(nonce, str) or not isinstance(urls, list):
        raise ProtocolError("INFO with fields of another type")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
        raise ProtocolError("INFO without a max_payload")
    places = tuple(url for url in urls if isinstance(url, str))
    return Info(version, min(limit, MAX_PAYLOAD_SIZE), places, nonce, fields)


def encode_connect(fields: Mapping[str, Any]) -> bytes:
    """What a client is, and how it shows that it may come in."""
    return b"CONNECT %b\r\n" % json.dumps(fields, separators=(",", ":")).encode()


def encode_subscribe(subject: str, sid: int) -> bytes:
    """Have what is published to a subject, or to all that a pattern covers, sent to this client.

    Raises:
        ValueError: it is no subject.
    """
    return b"SUB %b %d\r\n" % (_encode_subject(subject), sid)


def encode_unsubscribe(sid: int) -> bytes:
    """Have it sent no more."""
    return b"UNSUB %d\r\n" % sid


def encode_publish(
    subject: str, payload: bytes, reply: str | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """One message.

    Raises:
        ValueError: the subject or the reply is none, or the headers would break.
    """
    head = _encode_subject(subject)
    if reply:
        head += b" " + _encode_subject(reply)
    if headers is None:
        return b"PUB %b %d\r\n%b\r\n" % (head, len(payload), payload)
    fields = encode_headers(headers)
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (head, len(fields), len(fields) + len(payload), fields, payload)


def _encode_subject(subject: str) -> bytes:
    if not _subject.fullmatch(subject):
        raise ValueError(f"{subject!r} is no subject: it is empty, or has a space or a control character")
    return subject.encode()

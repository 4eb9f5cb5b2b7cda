"""The bytes that the load and the servers exchange. The load has no WebSocket library: it would cost too much.

Messages have 128 bytes and come in cycles of 40, each with its number, so that a lost or repeated one shows.
"""

from __future__ import annotations

import zlib

__all__ = [
    "CYCLE",
    "KINDS",
    "MESSAGE_SIZE",
    "REPLY_SIZE",
    "client_frame",
    "inflated",
    "message",
    "pair",
    "server_frame",
    "upgrade_request",
]

MESSAGE_SIZE, CYCLE = 128, 40
REPLY_SIZE = 4 + MESSAGE_SIZE  # from 126 bytes on a frame's length takes two bytes more (RFC 6455 section 5.2)
KINDS = ("echoed", "raw", "websocket", "greeted", "socketio", "deflate")

TEXT, COMPRESSED_TEXT = 0x81, 0xC1
MASK = b"\x5a\xc3\x17\x88"
TAIL = b"\x00\x00\xff\xff"  # of a compressed message, left out on the wire (RFC 7692 section 7.2.1)
EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def message(word: str, number: int) -> bytes:
    """A message of a cycle."""
    return f"{word} {number:02} ".encode().ljust(MESSAGE_SIZE, b".")


def upgrade_request(path: str = "/", compression: bool = False) -> bytes:
    """The request that opens a WebSocket, with the headers that are required."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"{EXTENSION if compression else ''}\r\n"
    ).encode()


def server_frame(payload: bytes, first: int = TEXT) -> bytes:
    """A frame of up to 64 KiB."""
    length = len(payload)
    return (bytes((first, length)) if length < 126 else bytes((first, 126)) + length.to_bytes(2)) + payload


def client_frame(payload: bytes, first: int = TEXT) -> bytes:
    """A masked frame of up to 64 KiB."""
    head = bytearray(server_frame(payload, first)[: 2 if len(payload) < 126 else 4])
    head[1] |= 0x80
    return bytes(head) + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def pair(kind: str, text: bytes, count: int = 1) -> tuple[bytes, bytes]:
    """What is sent for a message, and what is to come back for it.

    A raw request has a head of four bytes, the first of which says how many frames are to be sent, and then the frame.
    Of a compressed message the answer is the message itself, since each server compresses in its own way.
    """
    if kind == "deflate":
        compressor = zlib.compressobj(wbits=-15)
        compressed = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return client_frame(compressed.removesuffix(TAIL), COMPRESSED_TEXT), text
    payload = b'42["m","%b"]' % text if kind == "socketio" else text
    request, reply = client_frame(payload), server_frame(payload)
    if kind == "raw":
        return bytes((count, 0, 0, 0)) + reply, reply
    return request, request if kind == "echoed" else reply


def inflated(received: bytes) -> bytes | None:
    """The message in a server's compressed frame, of which more may have to come: then None."""
    start, length = 2, received[1] if len(received) > 3 else 0xFFFF
    if length == 126:
        start, length = 4, int.from_bytes(received[2:4])
    if len(received) < start + length:
        return None
    if received[0] != COMPRESSED_TEXT:
        raise RuntimeError("a message is not compressed")
    return zlib.decompressobj(wbits=-15).decompress(received[start:] + TAIL)

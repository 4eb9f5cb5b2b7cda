"""The bytes that the load and the servers exchange. The load has no WebSocket library: it would cost too much."""

from __future__ import annotations

import zlib

__all__ = [
    "CLIENT_FRAME_SIZE",
    "MESSAGE_SIZE",
    "SERVER_FRAME_SIZE",
    "client_frame",
    "compressed_client_frame",
    "payload_of",
    "upgrade_request",
]

MESSAGE_SIZE = 128
# From 126 bytes on a frame's length takes two bytes more (RFC 6455 section 5.2); a client's frame has a mask as well.
SERVER_FRAME_SIZE = 2 + 2 + MESSAGE_SIZE
CLIENT_FRAME_SIZE = SERVER_FRAME_SIZE + 4

TEXT, COMPRESSED_TEXT = 0x81, 0xC1
MASK = b"\x5a\xc3\x17\x88"
TAIL = b"\x00\x00\xff\xff"  # of a compressed message, left out on the wire (RFC 7692 section 7.2.1)
EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


def upgrade_request(compression: bool = False) -> bytes:
    """The request that opens a WebSocket, with the headers that are required."""
    return (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"{EXTENSION if compression else ''}\r\n"
    ).encode()


def client_frame(payload: bytes, first: int = TEXT) -> bytes:
    """A masked frame of up to 64 KiB."""
    length = len(payload)
    head = bytes((first, 0x80 | length)) if length < 126 else bytes((first, 0x80 | 126)) + length.to_bytes(2)
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def compressed_client_frame(payload: bytes) -> bytes:
    """A masked frame with a compressed payload."""
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return client_frame(compressed.removesuffix(TAIL), COMPRESSED_TEXT)


def payload_of(received: bytes) -> bytes | None:
    """The message in a server's frame; None while it is not complete."""
    if len(received) < 4:
        return None
    start, length = 2, received[1]
    if length == 126:
        start, length = 4, int.from_bytes(received[2:4])
    if len(received) < start + length:
        return None
    payload = received[start:]
    return zlib.decompressobj(wbits=-15).decompress(payload + TAIL) if received[0] == COMPRESSED_TEXT else payload

"""Packets: 28 bytes of header, then ext data, then body (wire protocol, "Packet")."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from tidegate.errors import ProtocolError
from tidegate.speedups import compiled
from tidegate.wire.commands import SCALAR

__all__ = [
    "DEFAULT_MAX_PACKET_SIZE",
    "HEADER",
    "HEADER_SIZE",
    "MAX_NAME_SIZE",
    "Data",
    "Packet",
    "PacketReader",
    "Stream",
    "pack",
    "pack_packet",
    "pack_packet_in_python",
    "pack_packets",
    "pack_packets_in_python",
    "scan_packets",
    "scan_packets_in_python",
]

HEADER = struct.Struct("!IBIHIHIBHI")
"""Package length, command, the gateway's address and inner port, the client's address and port, connection id, flags,
port that the client connected to, length of ext data."""
HEADER_SIZE = HEADER.size
DEFAULT_MAX_PACKET_SIZE = 10_485_760
"""Bytes; as the original has it."""
MAX_NAME_SIZE = 64 * 1024
"""Bytes of a uid or a group. No table is bounded by how many there are, since each stands for what a worker asked for;
names are, so that what one costs is known."""

Data: TypeAlias = bytes | bytearray | memoryview
Packet: TypeAlias = tuple[int, int, int, bytes, bytes, int, int, int, int, int]
"""Command, connection id, flags, ext data, body; the gateway's address and port, the client's, and the port that the
client connected to. A plain tuple, since hundreds of thousands are made in a second."""

Item = TypeVar("Item")


def pack_packet_in_python(
    command: int,
    ip: int,
    port: int,
    client_ip: int,
    client_port: int,
    connection_id: int,
    flags: int,
    gateway_port: int,
    ext: bytes,
    body: str | bytes,
) -> bytes:
    """The bytes of a packet; a body of `str` leaves as UTF-8."""
    if isinstance(body, str):
        body = body.encode()
    size = HEADER_SIZE + len(ext) + len(body)
    header = HEADER.pack(size, command, ip, port, client_ip, client_port, connection_id, flags, gateway_port, len(ext))
    return header + ext + body


def pack_packets_in_python(
    command: int,
    ip: int,
    port: int,
    client_ip: int,
    client_port: int,
    connection_id: int,
    text_flags: int,
    binary_flags: int,
    gateway_port: int,
    ext: bytes,
    bodies: list[str | bytes],
    limit: int,
) -> bytes | None:
    """The bytes of packets that differ in their bodies; None where one is longer than the limit.

    Args:
        text_flags, binary_flags: of those with bodies of `str` and of `bytes`.
    """
    packets = []
    for body in bodies:
        flags = text_flags if isinstance(body, str) else binary_flags
        packet = pack_packet_in_python(
            command, ip, port, client_ip, client_port, connection_id, flags, gateway_port, ext, body
        )
        if len(packet) > limit:
            return None
        packets.append(packet)
    return b"".join(packets)


def scan_packets_in_python(data: Data, limit: int, packets: list[Packet]) -> int:
    """Take packets that are complete.

    Args:
        limit: bytes of a packet.
        packets: gets them.

    Returns:
        The position of the first that is not complete, or is none.
    """
    chunk = bytes(data)
    position, end = 0, len(chunk)
    while end - position >= HEADER_SIZE:
        size, command, ip, port, client_ip, client_port, number, flags, gateway_port, ext_size = HEADER.unpack_from(
            chunk, position
        )
        stop = position + size
        if stop > end or not HEADER_SIZE + ext_size <= size <= limit:
            break
        body = position + HEADER_SIZE + ext_size
        packets.append(
            (
                command,
                number,
                flags,
                chunk[position + HEADER_SIZE : body],
                chunk[body:stop],
                ip,
                port,
                client_ip,
                client_port,
                gateway_port,
            )
        )
        position = stop
    return position


pack_packet: Callable[[int, int, int, int, int, int, int, int, bytes, str | bytes], bytes] = (
    pack_packet_in_python if compiled is None else compiled.pack_packet
)
pack_packets: Callable[[int, int, int, int, int, int, int, int, int, bytes, list[str | bytes], int], bytes | None] = (
    pack_packets_in_python if compiled is None else compiled.pack_packets
)
scan_packets: Callable[[Data, int, list[Packet]], int] = (
    scan_packets_in_python if compiled is None else compiled.scan_packets
)


def pack(command: int, connection_id: int = 0, ext: bytes = b"", body: bytes = b"", flags: int = SCALAR) -> bytes:
    """The bytes of a packet to a gateway, where the address fields are 0."""
    return pack_packet(command, 0, 0, 0, 0, connection_id, flags, 0, ext, body)


class Stream(Generic[Item]):
    """Finds packets in a stream.

    Args:
        limit: bytes of a packet.

    Attributes:
        error: set once the stream can't be read any further; what came before it was given.
    """

    __slots__ = ("_limit", "_needed", "_pending", "error")

    def __init__(self, limit: int = DEFAULT_MAX_PACKET_SIZE) -> None:
        self._limit = limit
        self._pending: bytearray | None = None  # the beginning of a packet
        self._needed = 0  # bytes that it has to have before it is looked at again
        self.error: ProtocolError | None = None

    @property
    def is_amid(self) -> bool:
        """Whether the header of a packet has come, and not all of the rest."""
        return self._pending is not None and len(self._pending) >= HEADER_SIZE

    def _scan(self, data: Data, found: list[Item]) -> int:
        """Take what is complete; gives the position of the first packet that is not, or is none."""
        raise NotImplementedError

    def feed(self, data: Data) -> list[Item]:
        """Take bytes in; gives the packets that are complete with them."""
        if self.error is not None:
            return []
        pending = self._pending
        if pending is not None:
            pending += data
            if len(pending) < self._needed:
                return []
            data = pending
        found: list[Item] = []
        position, end = self._scan(data, found), len(data)
        if position == end:
            self._pending = None
            return found
        self._needed = HEADER_SIZE
        if end - position >= HEADER_SIZE:
            self._needed, *_, ext_size = HEADER.unpack_from(data, position)
            if not HEADER_SIZE + ext_size <= self._needed <= self._limit:
                self._fail(self._needed, ext_size)
                return found
        if position or pending is None:
            self._pending = bytearray(memoryview(data)[position:])
        return found

    def _fail(self, size: int, ext_size: int) -> None:
        if size > self._limit:
            reason = f"a packet of {size} bytes, over the limit of {self._limit}"
        elif size < HEADER_SIZE:
            reason = f"a packet length of {size}, less than its header"
        else:
            reason = f"a packet of {size} bytes with {ext_size} of ext data"
        self.error = ProtocolError(reason)
        self._pending = None


class PacketReader(Stream[Packet]):
    """Finds packets, each for itself."""

    __slots__ = ()

    def _scan(self, data: Data, found: list[Packet]) -> int:
        return scan_packets(data, self._limit, found)

"""The packets of calls: which gateways get one, with which ext data, split where the limit asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tidegate.client.arguments import Message, encode_message
from tidegate.client.call import Pack, Packets
from tidegate.errors import ClusterError
from tidegate.wire.commands import BINARY, RAW, SCALAR
from tidegate.wire.packet import HEADER_SIZE, pack
from tidegate.wire.register_line import Addresses

__all__ = [
    "Content",
    "JSONFrame",
    "message_content",
    "only_ours",
    "to_all",
    "to_all_but",
    "to_all_in_parts",
    "to_client",
    "to_clients",
    "to_listed",
    "to_nobody",
]

Connections = Mapping[str, Iterable[int]]
"""Connection ids, by the gateway's address."""


class Content(NamedTuple):
    """What a packet holds besides ext data.

    Attributes:
        is_binary: whether the body is marked as such, towards the gateways that know the mark.
    """

    command: int
    body: bytes = b""
    flags: int = SCALAR
    is_binary: bool = False

    def room(self, limit: int) -> int:
        """Bytes that ext data may have."""
        return limit - HEADER_SIZE - len(self.body)

    def packet(self, limit: int, is_marked: bool, ext: bytes = b"", connection_id: int = 0) -> bytes:
        """The packet's bytes.

        Raises:
            ValueError: they are too many.
        """
        if len(ext) > self.room(limit):
            raise ValueError(
                f"a packet of {HEADER_SIZE + len(ext) + len(self.body)} bytes, over the limit of {limit}: "
                "send a shorter message, or name fewer clients or groups at a time"
            )
        return pack(self.command, connection_id, ext, self.body, self.flags | BINARY if is_marked else self.flags)

    def is_marked_for(self, address: str, addresses: Addresses) -> bool:
        """Whether this gateway is told that the body is binary."""
        return self.is_binary and address in addresses.tidegate


class JSONFrame(NamedTuple):
    """What stands before and after the items of a JSON list or object in ext data."""

    before: bytes = b"["
    after: bytes = b"]"

    def around(self, items: Iterable[bytes]) -> bytes:
        """All in one."""
        return self.before + b",".join(items) + self.after

    def parts(self, items: tuple[bytes, ...], room: int) -> list[bytes]:
        """As many as it takes for each to have ``room`` bytes at most; an item too long for any stands alone."""
        whole = self.around(items)
        if len(whole) <= room or len(items) == 1:
            return [whole]
        parts: list[bytes] = []
        part: list[bytes] = []
        size = empty = len(self.before) + len(self.after)
        for item in items:
            if part and size + len(item) + len(part) > room:
                parts.append(self.around(part))
                part, size = [], empty
            part.append(item)
            size += len(item)
        parts.append(self.around(part))
        return parts


def message_content(command: int, message: Message, raw: bool = False) -> Content:
    """A message for clients; a raw one is encoded for them already, so that it needs no mark.

    Raises:
        TypeError: it is neither str nor bytes.
        ValueError: it is text that has no UTF-8.
    """
    flags = SCALAR | RAW if raw else SCALAR
    return Content(command, encode_message(message), flags, isinstance(message, bytes) and not raw)


def to_nobody(addresses: Addresses, limit: int) -> Packets:  # noqa: ARG001
    """No packet, for a call that names no client, uid or group."""
    return []


def to_client(address: str, connection_id: int, content: Content, ext: bytes = b"") -> Pack:
    """To one client's gateway."""

    def packets(addresses: Addresses, limit: int) -> Packets:
        return [(address, content.packet(limit, content.is_marked_for(address, addresses), ext, connection_id))]

    return packets


def only_ours(address: str, name: str, pack: Pack) -> Pack:
    """The same, to a gateway that is known to be Tidegate's.

    Args:
        name: of the call, for the error that it raises about any other.
    """

    def packets(addresses: Addresses, limit: int) -> Packets:
        if address not in addresses.tidegate:
            problem = "is none of Tidegate's" if address in addresses.all else "is not known to Register"
            raise ClusterError(f"{name} can't be asked: gateway {address} {problem}")
        return pack(addresses, limit)

    return packets


def to_clients(connections: Connections, content: Content) -> Pack:
    """To some clients' gateways, a packet for each client."""

    def packets(addresses: Addresses, limit: int) -> Packets:
        return [
            (address, content.packet(limit, content.is_marked_for(address, addresses), connection_id=connection_id))
            for address, connection_ids in connections.items()
            for connection_id in connection_ids
        ]

    return packets


def to_all(content: Content, ext: bytes = b"") -> Pack:
    """The same to every gateway."""

    def packets(addresses: Addresses, limit: int) -> Packets:
        return _shared(content, (ext,), addresses, limit)

    return packets


def to_all_in_parts(content: Content, frame: JSONFrame, items: Iterable[bytes]) -> Pack:
    """The same to every gateway, in as many packets as its items take."""
    items = tuple(items)

    def packets(addresses: Addresses, limit: int) -> Packets:
        return _shared(content, frame.parts(items, content.room(limit)), addresses, limit)

    return packets


def to_all_but(content: Content, frame: JSONFrame, excluded: Connections, otherwise: bytes) -> Pack:
    """To every gateway, telling each which of its own clients to leave out.

    Args:
        otherwise: ext data for a gateway that has none of them.
    """
    own = {address: frame.around(map(_pair, connection_ids)) for address, connection_ids in excluded.items()}

    def packets(addresses: Addresses, limit: int) -> Packets:
        return [
            (address, content.packet(limit, content.is_marked_for(address, addresses), own.get(address, otherwise)))
            for address in addresses.all
        ]

    return packets


def to_listed(content: Content, frame: JSONFrame, connections: Connections) -> Pack:
    """To some clients' gateways, telling each which of its own clients are meant, in as many packets as it takes."""

    def packets(addresses: Addresses, limit: int) -> Packets:
        room = content.room(limit)
        return [
            (address, content.packet(limit, content.is_marked_for(address, addresses), ext))
            for address, connection_ids in connections.items()
            for ext in frame.parts(tuple(map(_pair, connection_ids)), room)
        ]

    return packets


def _shared(content: Content, exts: Iterable[bytes], addresses: Addresses, limit: int) -> Packets:
    packets: Packets = []
    for ext in exts:
        # Made once for all gateways; two kinds at most.
        plain = marked = content.packet(limit, False, ext)
        if content.is_binary:
            marked = content.packet(limit, True, ext)
        for address in addresses.all:
            packets.append((address, marked if address in addresses.tidegate else plain))
    return packets


def _pair(connection_id: int) -> bytes:
    """As PHP writes an element of a list that is indexed by what is in it."""
    return b'"%d":%d' % (connection_id, connection_id)

"""Events as packets to a worker (wire protocol, "Gateway → BusinessWorker")."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.gateway.connection import GatewayConnection
from tidegate.protocols import Message
from tidegate.wire.commands import AGAIN, BINARY, IPV6, ON_MESSAGE, ON_WEBSOCKET_CONNECT, SCALAR
from tidegate.wire.packet import pack_packet, pack_packets

__all__ = ["Place", "pack_event", "pack_messages"]


@dataclass(frozen=True, slots=True)
class Place:
    """What the header of every packet says of the gateway.

    Attributes:
        ip, port: where its inner port is.
        gateway_port: where clients connect.
    """

    ip: int
    port: int
    gateway_port: int


def pack_event(
    place: Place,
    client: GatewayConnection,
    command: int,
    message: Message,
    is_tidegate: bool,
    is_again: bool = False,
) -> bytes:
    """The bytes of one; what the original would not understand stands only in one for a worker that is Tidegate's.

    Args:
        is_again: it was with a worker that is gone.
    """
    ext = client.session
    flags = SCALAR
    if command == ON_WEBSOCKET_CONNECT:
        flags = 0
    elif is_tidegate and isinstance(message, bytes):
        flags = SCALAR | BINARY
    if is_again and is_tidegate:
        flags |= AGAIN
    origin = client.origin
    if isinstance(origin, bytes):
        if is_tidegate:
            ext = origin + ext
            flags |= IPV6
        origin = 0
    return pack_packet(
        command, place.ip, place.port, origin, client.port, client.id, flags, place.gateway_port, ext, message
    )


def pack_messages(
    place: Place, client: GatewayConnection, messages: list[Message], is_tidegate: bool, limit: int
) -> bytes | None:
    """Those of one read, in one piece; None where one has to be looked at for itself.

    Args:
        limit: bytes of a packet.
    """
    origin = client.origin
    if isinstance(origin, bytes):
        return None
    return pack_packets(
        ON_MESSAGE,
        place.ip,
        place.port,
        origin,
        client.port,
        client.id,
        SCALAR,
        SCALAR | BINARY if is_tidegate else SCALAR,
        place.gateway_port,
        client.session,
        messages,
        limit,
    )

"""A gateway's client: a connection with a uid, groups, a session and the worker that serves it."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from tidegate.net.connection import Connection
from tidegate.net.endpoint import Endpoint
from tidegate.net.meter import Metered
from tidegate.net.outbox import CLOSED, OPEN
from tidegate.protocols import Message
from tidegate.wire.client_id import pack_ip

if TYPE_CHECKING:
    from tidegate.gateway.peer import Peer
    from tidegate.gateway.router import Router
    from tidegate.gateway.tables import Group

__all__ = ["GatewayConnection", "MeteredGatewayConnection"]


class GatewayConnection(Connection):
    """A client.

    Attributes:
        origin: its address: a number where it is IPv4, 16 bytes where it is IPv6.
        port: its port.
        uid, groups: kept by the `Tables`.
        session: as it was stored; empty where none is.
        peer: the worker that its events go to.
    """

    __slots__ = ("groups", "origin", "peer", "port", "session", "uid")

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        super().__init__(endpoint, sock)
        self.uid: bytes | None = None
        self.groups: dict[bytes, Group] | None = None
        self.session = b""
        self.peer: Peer | None = None
        self.origin: int | bytes = 0
        self.port = 0

    def note_origin(self) -> None:
        """Keep where it comes from, which the system forgets once it is closed."""
        ip = self.remote_ip
        self.port = self.remote_port
        if ":" in ip:
            self.origin = socket.inet_pton(socket.AF_INET6, ip.partition("%")[0])
        elif ip:
            self.origin = pack_ip(ip)

    @property
    def is_paused(self) -> bool:
        """Whether it is not read from."""
        return self._paused != 0

    @property
    def last_read(self) -> float:
        """When something last came from it, as the reactor's `now` had it."""
        return self._seen

    @property
    def is_gone(self) -> bool:
        """Whether it is closed."""
        return self._state == CLOSED

    def _deliver(self, messages: list[Message]) -> None:
        # Past the callbacks of a connection: all of one read go to the worker together.
        endpoint = self.endpoint
        if self._state != OPEN:
            endpoint.stats.dropped_messages += len(messages)
            return
        if not self._codec.shared and not self._can_carry(messages):
            return
        endpoint.stats.messages_in += len(messages)
        router: Router = endpoint.owner.router
        router.forward(self, messages)

    def _can_carry(self, messages: list[Message]) -> bool:
        """See that a protocol of the user's own gave what a packet has room for; where it did not, that is the end."""
        strange = {type(message).__name__ for message in messages if not isinstance(message, str | bytes)}
        if not strange:
            return True
        endpoint = self.endpoint
        endpoint.stats.protocol_errors += 1
        endpoint.throttle.log(
            logging.ERROR,
            "%s: connection %s closed: feed of its protocol gave a list with %s in it. A gateway carries str and bytes",
            endpoint.name,
            self.id,
            " and ".join(sorted(strange)),
        )
        self.destroy()
        return False


class MeteredGatewayConnection(Metered, GatewayConnection):
    """A client whose messages are counted."""

    __slots__ = ("_meter",)

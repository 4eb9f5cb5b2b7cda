"""`Client`: what handlers receive, one object for a client for as long as this worker knows it."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Awaitable, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.business.query import Query
from tidegate.business.saves import Saves
from tidegate.client import calls
from tidegate.client.arguments import Message, Name, Token, encode_message, encode_name
from tidegate.client.call import Call
from tidegate.wire import php
from tidegate.wire.client_id import format_client_id, unpack_ip
from tidegate.wire.commands import (
    BIND_UID,
    JOIN_GROUP,
    KICK,
    LEAVE_GROUP,
    RAW,
    SCALAR,
    SEND_TO_ONE,
    UNBIND_UID,
)
from tidegate.wire.packet import HEADER_SIZE, pack, pack_packet
from tidegate.wire.register_line import Addresses

if TYPE_CHECKING:
    from tidegate.business.dispatcher import Event
    from tidegate.business.remote import RemoteGateway

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """A client that a gateway holds.

    What is sent to it leaves at the end of this turn of the loop. Each of these methods may be awaited, which waits
    while more than ``send_to_gateway_limit`` bytes wait for the gateway.

    Attributes:
        remote_port: its own.
        gateway_port: the port that it connected to.
    """

    __slots__ = (
        "_gateway",
        "_id",
        "_is_running",
        "_number",
        "_origin",
        "_saves",
        "_session",
        "_stored",
        "_waiting",
        "gateway_port",
        "remote_port",
    )

    def __init__(self, gateway: RemoteGateway, number: int, origin: int | bytes, port: int, gateway_port: int) -> None:
        self._gateway = gateway
        self._number = number
        self._origin = origin  # its address: IPv4 as a number, IPv6 as 16 bytes
        self._id: str | None = None
        self._stored = b""  # its session as last known
        self._session: dict[Any, Any] | None = None  # the same, decoded, while a handler runs that has asked for it
        self._saves: Saves | None = None  # those that events on their way here may not show
        self._is_running = False  # a handler of its runs, or is about to
        self._waiting: deque[Event] | None = None  # events for after that
        self.remote_port = port
        self.gateway_port = gateway_port

    def __repr__(self) -> str:
        return f"<Client {self.id} from {self.remote_ip}>"

    @property
    def id(self) -> str:
        """Its client id, 20 hex digits."""
        if self._id is None:
            self._id = format_client_id(self._gateway.ip, self._gateway.port, self._number)
        return self._id

    @property
    def remote_ip(self) -> str:
        """Its IP address."""
        origin = self._origin
        return unpack_ip(origin) if isinstance(origin, int) else socket.inet_ntop(socket.AF_INET6, origin)

    @property
    def session(self) -> dict[Any, Any]:
        """What is kept for it at the gateway; what a handler changes in it is saved when the handler returns.

        Values are None, bool, int, float, str, bytes, and lists and dicts of these. What a handler changed that raised
        an error is not saved. Outside of this client's handlers it is a copy: `update_session` changes it from there.

        Raises:
            PHPValueError: it was stored by somebody else and can't be read, since it holds an object.
        """
        session = self._session
        if session is None:
            session = self._read_session()
            if self._is_running:
                self._session = session
        return session

    @session.setter
    def session(self, session: Mapping[Any, Any]) -> None:
        if not isinstance(session, Mapping):
            raise TypeError(f"a session is a dict, not {type(session).__name__}")
        if not self._is_running:
            raise RuntimeError(f"no handler of client {self.id} runs: use set_session or update_session")
        self._session = session if isinstance(session, dict) else dict(session)

    def _read_session(self) -> dict[Any, Any]:
        saves = self._saves
        if saves is not None and saves.stored is self._stored and (plain := saves.plain) is not None:
            return dict(plain)
        try:
            return php.loads_array(self._stored) if self._stored else {}
        except php.PHPValueError as error:
            raise php.PHPValueError(
                f"the session of client {self.id} can't be read, it stays as it is: {error}"
            ) from None

    # What a handler does with it

    def send(self, message: Message, *, raw: bool = False) -> Awaitable[None]:
        """Send a message: `str` as a text frame, `bytes` as a binary one; with ``raw`` it is encoded already.

        Raises:
            TypeError, ValueError: it is neither, or longer than a packet may be.
        """
        gateway = self._gateway
        if type(message) is str:
            flags = RAW | SCALAR if raw else SCALAR
        else:
            message = encode_message(message)
            flags = RAW | SCALAR if raw else SCALAR | gateway.binary_flag
        packet = pack_packet(SEND_TO_ONE, 0, 0, 0, 0, self._number, flags, 0, b"", message)
        if len(packet) > gateway.max_packet_size:
            raise ValueError(
                f"a message of {len(packet) - HEADER_SIZE} bytes is longer than a packet to the gateway may be"
            )
        link = gateway.direct
        if link is None or get_ident() != gateway.thread or not link.put(packet):
            gateway.send(packet)
        return gateway

    def close(self, message: Message | None = None) -> Awaitable[None]:
        """Send it one last message, then close its connection."""
        if message is None:
            return self._tell(KICK, body=b"N;", flags=0)
        flags = SCALAR if isinstance(message, str) else SCALAR | self._gateway.binary_flag
        return self._tell(KICK, body=encode_message(message), flags=flags)

    def join_group(self, group: Name) -> Awaitable[None]:
        """Make it a member of a group; it may be in any number of them."""
        return self._tell(JOIN_GROUP, encode_name(group, "group"))

    def leave_group(self, group: Name) -> Awaitable[None]:
        """Take it out of a group."""
        return self._tell(LEAVE_GROUP, encode_name(group, "group"))

    def bind_uid(self, uid: Name) -> Awaitable[None]:
        """Give it this uid, in place of any other; a uid may have many clients."""
        return self._tell(BIND_UID, encode_name(uid, "uid"))

    def unbind_uid(self, uid: Name | None = None) -> Awaitable[None]:
        """Take its uid away, whichever it is."""
        return self._tell(UNBIND_UID, b"" if uid is None else encode_name(uid, "uid"))

    def renew_auth(self, token: Token) -> Awaitable[bool]:
        """Let it stay as long as a new token says; false, and nothing changes, if that is not valid, or another's.

        Raises:
            ConfigurationError: the gateway has no ``auth=`` that can verify a token.
            RuntimeError: it is called in a thread, where `business.sync` is for queries.
        """
        if get_ident() != self._gateway.thread:
            raise RuntimeError("client.renew_auth is awaited in the worker's loop; in a thread, call sync.renew_auth")
        return Query(calls.renew_auth(self.id, token), self._ask)

    async def _ask(self, call: Call[T]) -> T:
        gateway = self._gateway
        ours = frozenset((gateway.address,)) if gateway.is_tidegate else frozenset[str]()
        packets = call.packets(Addresses((gateway.address,), ours), gateway.max_packet_size)
        return call.merge([(address, await gateway.ask(packet)) for address, packet in packets])

    def _tell(self, command: int, ext: bytes = b"", body: bytes = b"", flags: int = SCALAR) -> Awaitable[None]:
        gateway = self._gateway
        if HEADER_SIZE + len(ext) + len(body) > gateway.max_packet_size:
            raise ValueError(f"{len(ext) + len(body)} bytes are more than a packet to the gateway may have")
        gateway.send(pack(command, self._number, ext, body, flags))
        return gateway

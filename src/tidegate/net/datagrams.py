"""UDP: each datagram is a message, and its sender a connection for as long as the callback keeps it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, cast

from tidegate.net.endpoint import Endpoint
from tidegate.net.outbox import Sendable
from tidegate.net.sockets import plain_ip
from tidegate.protocols.base import make_text

__all__ = ["Datagrams", "Peer"]

MAX_PENDING = 1000
"""Async callbacks under way at a time; datagrams over it are dropped, as the network may drop them anyway."""


class Peer:
    """The sender of a datagram; `send` answers it."""

    __slots__ = ("__dict__", "_address", "_datagrams", "id", "remote_ip", "remote_port")

    def __init__(self, datagrams: Datagrams, address: tuple[Any, ...]) -> None:
        self._datagrams = datagrams
        self.id = next(datagrams.endpoint.ids)
        self._address = address  # of IPv6 it has four parts, all of which an answer needs
        self.remote_ip = plain_ip(address[0])
        self.remote_port: int = address[1]

    @property
    def worker(self) -> Any:
        """The worker that it belongs to."""
        return self._datagrams.endpoint.owner

    def send(self, data: Sendable) -> bool:
        """Send a datagram back; whether it was handed to the system, not whether it arrives."""
        return self._datagrams.send(data, self._address)

    def close(self, data: Sendable | None = None) -> None:
        """Send a last datagram; there is nothing to close."""
        if data is not None:
            self.send(data)


class Datagrams(asyncio.DatagramProtocol):
    """A UDP socket of an endpoint."""

    _transport: asyncio.DatagramTransport

    def __init__(self, endpoint: Endpoint, encoding: str | None) -> None:
        self.endpoint = endpoint
        self._encoding = encoding or "utf-8"
        self._text = make_text(encoding)
        self._blocked = False
        self.busy = False  # its socket is being closed, and the port is not free yet

    @classmethod
    async def open(cls, endpoint: Endpoint, sock: socket.socket, encoding: str | None) -> Datagrams:
        """Begin to receive on a bound socket."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: cls(endpoint, encoding), sock=sock)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # uvloop's is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        endpoint = self.endpoint
        if len(endpoint.tasks) >= MAX_PENDING:
            endpoint.stats.dropped_messages += 1
            endpoint.throttle.log(logging.WARNING, "%s: datagrams dropped, handlers are behind", endpoint.name)
            return
        endpoint.stats.messages_in += 1
        callback = endpoint.callbacks.on_message
        if callback is None:
            return
        peer = Peer(self, addr)
        awaitable = endpoint.fire(callback, peer, self._text(data))
        if awaitable is not None:
            endpoint.follow(peer, callback, awaitable)

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002
        """An answer did not arrive, as far as the system knows."""
        self.endpoint.stats.send_failures += 1

    def send(self, data: Sendable, address: tuple[Any, ...]) -> bool:
        """Send one datagram."""
        payload = data.encode(self._encoding) if isinstance(data, str) else data
        if self._blocked or self._transport.is_closing():
            self.endpoint.stats.send_failures += 1
            return False
        self._transport.sendto(payload, address)
        self.endpoint.stats.frames_out += 1
        return True

    def abandon(self) -> None:
        """Nothing is on its way here."""

    def close(self) -> None:
        """Receive no more."""
        self.busy = True
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.busy = False

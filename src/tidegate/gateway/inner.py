"""The inner port: links of workers, and connections of push clients (wire protocol, "To a gateway")."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket
import struct
from collections.abc import Sequence
from typing import Any, cast

from tidegate.errors import ProtocolError
from tidegate.gateway.commander import Commander
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.parameters import CommandError
from tidegate.gateway.peer import Peer
from tidegate.gateway.router import Router
from tidegate.gateway.tables import Tables
from tidegate.net.link import Link
from tidegate.net.listener import Listener
from tidegate.net.reactor import Reactor
from tidegate.net.stats import Stats
from tidegate.net.throttle import Throttle
from tidegate.wire import commands
from tidegate.wire.packet import Packet, PacketReader, pack
from tidegate.wire.progress import unpack_numbers, unpack_progress, unpack_released

__all__ = ["InnerPort"]

logger = logging.getLogger("tidegate")

CONNECT_SECONDS = 10
"""Until a connection must have sent its first packet."""
PING_SECONDS = 25
CAPABILITIES = json.dumps({"tidegate": 1}, separators=(",", ":")).encode()
ANSWER_SIZE = struct.Struct("!I")
ANSWERS_LIMIT = 64 * 1024 * 1024
"""Bytes of answers that a push client may leave unread."""


class InnerLink(Link):
    """A connection to the inner port.

    Attributes:
        since: the reactor's tick at which it was accepted.
        is_known: whether its first packet was right.
        worker: at its other end; None where it is a push client.
    """

    __slots__ = ("is_known", "since", "worker")

    def __init__(self, owner: InnerPort, reader: PacketReader, limit: int, sock: socket.socket | None) -> None:
        super().__init__(owner, reader, limit, sock)
        self.since = owner.reactor.tick
        self.is_known = False
        self.worker: Peer | None = None


class InnerPort:
    """One gateway process's.

    Args:
        name: for logs.
        secret_key: that every connection must show; an empty one too.
        max_packet_size: bytes.
        send_limit: bytes that may wait for a worker before its clients are read from no more.
        pings: whether workers are on other machines, so that connections must not be silent.
    """

    def __init__(
        self,
        name: str,
        router: Router,
        tables: Tables[GatewayConnection],
        *,
        secret_key: str,
        max_packet_size: int,
        send_limit: int,
        pings: bool,
    ) -> None:
        self.name = name
        self.stats = Stats()
        self.throttle = Throttle(logger)
        self.reactor = Reactor.acquire()
        self.bad_commands = 0
        self.refused = 0
        self._router = router
        self._tables = tables
        self._commander = Commander(tables)
        self._secret = secret_key.encode()
        self._max_packet_size = max_packet_size
        self._send_limit = send_limit
        self._links: set[InnerLink] = set()
        self._empty = asyncio.Event()  # once it is closing and the last link is gone
        self._listener: Listener | None = None
        self._next_ping = PING_SECONDS if pings else 0
        self.reactor.sweepers.append(self._sweep)

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Take connections."""
        self._listener = Listener(self, sockets, None)

    async def close(self, seconds: float) -> None:
        """Take no more, send what is queued, and close."""
        if self._listener is not None:
            self._listener.close()
            self._listener.abandon()
        self._empty.clear()
        for link in tuple(self._links):
            link.close()
        if self._links:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        for link in tuple(self._links):
            link.destroy()
        if self._sweep in self.reactor.sweepers:
            self.reactor.sweepers.remove(self._sweep)
            self.reactor.release()

    # Connections

    def make_connection(self, sock: socket.socket | None) -> InnerLink:
        link = InnerLink(self, PacketReader(self._max_packet_size), self._send_limit, sock)
        self._links.add(link)
        return link

    def link_received(self, link: InnerLink, packets: list[Packet]) -> None:
        for packet in packets:
            command = packet[0]
            try:
                if not link.is_known or command in (commands.WORKER_CONNECT, commands.GATEWAY_CLIENT_CONNECT):
                    self._greet(link, packet)
                elif link.worker is not None and command in self.EXTENSIONS:
                    self.EXTENSIONS[command](self, link, link.worker, packet)
                elif command != commands.PING:
                    answer = self._commander.carry_out(packet)
                    if answer is not None:
                        self._answer(link, answer)
            except ProtocolError as error:
                self.refused += 1
                self.throttle.log(
                    logging.WARNING, "%s: connection from %s refused: %s", self.name, _name(link), error.reason
                )
                link.destroy()
                return
            except ValueError as error:
                self.bad_commands += 1
                self.throttle.log(
                    logging.WARNING, "%s: command %d from %s dropped: %s", self.name, command, _name(link), error
                )
            except Exception:
                self.bad_commands += 1
                logger.exception("%s: command %d from %s failed", self.name, command, _name(link))
            if link.closing or link.is_closed:
                return

    def link_drained(self, link: InnerLink) -> None:
        if link.worker is not None:
            self._router.drained(link.worker)
        else:
            link.resume_reading()

    def link_lost(self, link: InnerLink, error: Exception | None) -> None:
        self._links.discard(link)
        if not self._links:
            self._empty.set()
        if isinstance(error, ProtocolError):
            self.stats.protocol_errors += 1
            self.throttle.log(logging.WARNING, "%s: %s closed: %s", self.name, _name(link), error.reason)
        peer = link.worker
        if peer is not None and peer.link is link:
            logger.info("%s: worker %s is gone", self.name, peer.key)
            self._router.leave(peer)

    # First packets

    def _greet(self, link: InnerLink, packet: Packet) -> None:
        """See who a connection is.

        Raises:
            ProtocolError: nobody who may come in.
        """
        command, body = packet[0], packet[4]
        if command == commands.WORKER_CONNECT:
            says = self._read_greeting(body)
            if link.worker is not None:
                raise ProtocolError("a second WORKER_CONNECT")
            self._greet_worker(link, says)
        elif command == commands.GATEWAY_CLIENT_CONNECT:
            self._read_greeting(body)
            if link.worker is not None:
                raise ProtocolError("a worker that would be a push client")
        elif self._secret:
            raise ProtocolError(f"its first packet, command {command}, shows no secret_key")
        elif command != commands.PING:
            link.is_known = True
            answer = self._commander.carry_out(packet)
            if answer is not None:
                self._answer(link, answer)
        link.is_known = True

    def _read_greeting(self, body: bytes) -> dict[str, Any]:
        try:
            says = json.loads(body)
        except (ValueError, RecursionError):
            says = None
        if not isinstance(says, dict):
            raise ProtocolError("its greeting is no JSON object")
        secret = says.get("secret_key")
        given = secret.encode(errors="replace") if isinstance(secret, str) else None
        if given is None or not hmac.compare_digest(given, self._secret):
            raise ProtocolError("a wrong secret_key")
        return says

    def _greet_worker(self, link: InnerLink, says: dict[str, Any]) -> None:
        key = says.get("worker_key")
        if not isinstance(key, str) or not 0 < len(key) <= 256:
            raise ProtocolError("a worker without a worker_key")
        is_tidegate = says.get("tidegate") == 1
        wanted = None
        if is_tidegate:
            link.send(pack(commands.PING, ext=CAPABILITIES))
            if isinstance(events := says.get("events"), list):
                wanted = frozenset(number for number, name in commands.EVENT_NAMES.items() if name in events)
        link.worker, replaced = self._router.join(f"{link.peer[0]}:{key}", link, is_tidegate, wanted)
        logger.info("%s: worker %s is here", self.name, link.worker.key)
        if replaced is not None:
            cast("InnerLink", replaced).worker = None
            replaced.close()

    # Answers

    def _answer(self, link: InnerLink, answer: bytes) -> None:
        link.send(ANSWER_SIZE.pack(len(answer)) + answer)
        if link.worker is None and link.is_full:
            link.pause_reading()  # it reads no answers: it is to ask for no more of them
            if link.queued_bytes > ANSWERS_LIMIT:
                self.throttle.log(logging.WARNING, "%s: %s reads no answers, it is closed", self.name, _name(link))
                link.destroy()

    # What only workers that are Tidegate's send

    def _query(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        reader = PacketReader(self._max_packet_size)
        inner = reader.feed(packet[4])
        if len(inner) != 1 or reader.error is not None or not self._commander.is_query(inner[0][0]):
            raise CommandError("a QUERY that holds none")
        answer = self._commander.carry_out(inner[0])
        assert answer is not None
        link.send(pack(commands.QUERY, packet[1], body=answer))

    def _progress(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        peer.window.progress(*unpack_progress(packet[4]), unpack_numbers(packet[3]))

    def _drain(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        self._router.drain(peer)
        link.send(pack(commands.DRAIN))

    def _release(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        self._router.release_clients(peer, unpack_released(packet[4]), self._tables.clients)

    EXTENSIONS = {  # noqa: RUF012 - nobody changes it
        commands.QUERY: _query,
        commands.PROGRESS: _progress,
        commands.DRAIN: _drain,
        commands.RELEASE: _release,
    }

    # Time

    def _sweep(self) -> None:
        self.throttle.flush()
        tick = self.reactor.tick
        for link in tuple(self._links):
            if not link.is_known and tick - link.since > CONNECT_SECONDS:
                self.refused += 1
                link.destroy()
        if self._next_ping and tick >= self._next_ping:
            self._next_ping = tick + PING_SECONDS
            for link in self._links:
                if link.worker is not None:
                    link.send(pack(commands.PING))

    @property
    def workers(self) -> int:
        """Workers that are here."""
        return sum(link.worker is not None for link in self._links)

    @property
    def push_clients(self) -> int:
        """Connections of push clients."""
        return len(self._links) - self.workers


def _name(link: InnerLink) -> str:
    if link.worker is not None:
        return f"worker {link.worker.key}"
    ip, port = link.peer
    return f"{ip}:{port}"

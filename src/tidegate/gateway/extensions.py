"""What only workers that are Tidegate's send on their links (wire protocol, "Extensions")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from tidegate.gateway.commander import Commander
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.inner_link import InnerLink
from tidegate.gateway.parameters import CommandError
from tidegate.gateway.peer import Peer
from tidegate.gateway.router import Router
from tidegate.gateway.tables import Tables
from tidegate.wire import commands
from tidegate.wire.packet import HEADER_SIZE, Packet, PacketReader, pack
from tidegate.wire.progress import unpack_numbers, unpack_progress, unpack_released

__all__ = ["Extensions"]

Handler: TypeAlias = Callable[[InnerLink, Peer, Packet], None]


class Answer(Protocol):
    """How an answer is sent."""

    def __call__(self, link: InnerLink, *pieces: bytes) -> None: ...


class Extensions:
    """Carries them out.

    Attributes:
        handlers: by command; each may raise ValueError.
    """

    def __init__(
        self,
        router: Router,
        commander: Commander,
        tables: Tables[GatewayConnection],
        max_packet_size: int,
        answer: Answer,
    ) -> None:
        self._router = router
        self._commander = commander
        self._tables = tables
        self._max_packet_size = max_packet_size
        self._answer = answer
        self.handlers: Mapping[int, Handler] = {
            commands.QUERY: self._query,
            commands.PROGRESS: self._progress,
            commands.DRAIN: self._drain,
            commands.RELEASE: self._release,
        }

    def _query(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        reader = PacketReader(self._max_packet_size)
        inner = reader.feed(packet[4])
        if len(inner) != 1 or reader.error is not None or not self._commander.is_query(inner[0][0]):
            raise CommandError("a QUERY that holds none")
        answer = self._commander.carry_out(inner[0])
        assert answer is not None
        size = self._max_packet_size - HEADER_SIZE - len(commands.MORE)
        parts = [answer[at : at + size] for at in range(0, len(answer), size)]
        last = parts.pop()
        number = packet[1]
        self._answer(
            link,
            *(pack(commands.QUERY, number, commands.MORE, part) for part in parts),
            pack(commands.QUERY, number, body=last),
        )

    def _progress(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        peer.window.progress(*unpack_progress(packet[4]), unpack_numbers(packet[3]))
        self._router.progressed(peer)

    def _drain(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        self._router.drain(peer)
        link.send(pack(commands.DRAIN))

    def _release(self, link: InnerLink, peer: Peer, packet: Packet) -> None:  # noqa: ARG002
        if not peer.is_draining:
            raise CommandError("RELEASE from a worker that does not drain")
        self._router.release_clients(peer, unpack_released(packet[4]), self._tables.clients)

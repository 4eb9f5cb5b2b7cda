"""What a process sends over NATS, made into messages, without I/O.

Packets for the same subjects that come in a row leave as one message. A gateway that was told to bind or join somebody
gets what is sent to that name on its own subject too, until it has confirmed that it listens to the name: so what a
process did, its next push sees, and nobody waits.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterable
from typing import NamedTuple

from tidegate.client.nats.routing import Copies
from tidegate.cluster.nats.subjects import Subjects
from tidegate.wire.commands import BIND_UID, JOIN_GROUP, PUSH_ID
from tidegate.wire.packet import HEADER, HEADER_SIZE, pack

__all__ = ["Joined", "Outbound", "Parcel"]

MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes after which a message takes no more packets."""
CONFIRM_SECONDS = 10.0
"""That a gateway has to confirm, before it counts as gone, or its confirmation as lost."""
MAX_JOINED = 100_000
"""Messages that may wait to be confirmed; then the oldest are given up."""
COMMAND = 4
"""Where a packet has its command."""


class Joined(NamedTuple):
    """Names that a gateway was told to give to clients of its.

    Attributes:
        number: that nothing else of the same process has.
        gateway: its own subject.
        names: their subjects.
        until: by the monotonic clock.
    """

    number: int
    gateway: str
    names: frozenset[str]
    until: float


class Parcel(NamedTuple):
    """Messages that leave together.

    Attributes:
        messages: subjects and payloads.
        packets: how many, without their copies.
        size: bytes.
        joined: what the gateway is to confirm, of the one message that it is then; None where it has nothing to.
    """

    messages: tuple[tuple[str, bytes], ...]
    packets: int
    size: int
    joined: Joined | None


class Outbound:
    """Of one process, or of one connection where each begins anew.

    Args:
        sender: 16 letters or so that no other process has.

    Attributes:
        unconfirmed: messages with joins that were given up without a confirmation.
    """

    def __init__(self, subjects: Subjects, sender: str) -> None:
        self.unconfirmed = 0
        self._subjects = subjects
        self._sender = sender.encode()
        self._numbers = itertools.count(1)
        self._names: dict[str, dict[str, int]] = {}  # by subject, the gateways that have to confirm, and how often
        self._open: dict[int, Joined] = {}  # oldest first
        self._parcels: list[Parcel] = []
        # The message that may take more.
        self._to: tuple[str, ...] = ()
        self._packets: list[list[bytes]] = []
        self._size = 0
        self._joins: set[str] = set()

    @staticmethod
    def new_sender() -> str:
        """A name that no other process has."""
        return secrets.token_hex(8)

    def push(self, copies: Copies) -> None:
        """Add a push, as `route` gives it."""
        if self._names:
            copies = (*copies, *self._more_copies(copies))
        self._add(copies)

    def tell(self, address: str, packet: bytes) -> None:
        """Add a command about a client of a gateway's."""
        self._add(((self._subjects.gateway(address), packet),))

    def _more_copies(self, copies: Copies) -> Iterable[tuple[str, bytes]]:
        """For the gateways that have not confirmed that they listen."""
        to = [subject for subject, _ in copies]
        gateways = dict.fromkeys(gateway for subject in to for gateway in self._names.get(subject, ()))
        packet = copies[-1][1]
        return [(gateway, packet) for gateway in gateways if gateway not in to]

    def _join(self, gateway: str, packet: bytes) -> None:
        ext_size = HEADER.unpack_from(packet)[-1]
        name = packet[HEADER_SIZE : HEADER_SIZE + ext_size]
        if not name:
            return
        subject = (self._subjects.uid if packet[COMMAND] == BIND_UID else self._subjects.group)(name)
        if subject not in self._joins:
            self._joins.add(subject)
            waiting = self._names.setdefault(subject, {})
            waiting[gateway] = waiting.get(gateway, 0) + 1

    def _add(self, copies: Copies) -> None:
        to = tuple([subject for subject, _ in copies])
        if to != self._to or self._size > MAX_MESSAGE_SIZE:
            self._seal()
            self._to = to
            self._packets = [[] for _ in to]
        for packets, (_, packet) in zip(self._packets, copies, strict=True):
            packets.append(packet)
        packet = copies[0][1]
        self._size += len(packet)
        if packet[COMMAND] == JOIN_GROUP or packet[COMMAND] == BIND_UID:
            self._join(to[0], packet)

    def _seal(self) -> None:
        """What was added leaves as it is."""
        if not self._to:
            return
        count = len(self._packets[0])
        joined: Joined | None = None
        if len(self._to) == 1:
            payloads = [b"".join(self._packets[0])]
            if self._joins:
                until = time.monotonic() + CONFIRM_SECONDS
                joined = Joined(next(self._numbers), self._to[0], frozenset(self._joins), until)
                self._open[joined.number] = joined
                self._joins.clear()
        else:
            mark = pack(PUSH_ID, next(self._numbers) & 0xFFFFFFFF, self._sender)
            payloads = [b"".join((mark, *packets)) for packets in self._packets]
        messages = tuple(zip(self._to, payloads, strict=True))
        self._parcels.append(Parcel(messages, count, sum(map(len, payloads)), joined))
        self._to, self._packets, self._size = (), [], 0

    def take(self) -> list[Parcel]:
        """What is to leave, in order."""
        self._seal()
        parcels, self._parcels = self._parcels, []
        return parcels

    # Confirmations

    def confirm(self, joined: Joined) -> None:
        """A gateway listens to these names, or is gone, or was never told."""
        if self._open.pop(joined.number, None) is None:
            return
        for subject in joined.names:
            waiting = self._names[subject]
            waiting[joined.gateway] -= 1
            if not waiting[joined.gateway]:
                del waiting[joined.gateway]
                if not waiting:
                    del self._names[subject]

    def expire(self, now: float) -> list[int]:
        """Give up what was not confirmed for too long, or is too much; gives the numbers of it."""
        expired: list[int] = []
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.until > now and len(self._open) <= MAX_JOINED:
                break
            self.confirm(oldest)
            expired.append(oldest.number)
        self.unconfirmed += len(expired)
        return expired

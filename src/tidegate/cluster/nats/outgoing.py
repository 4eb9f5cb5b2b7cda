"""What a client publishes: onto the connection while there is one, within bounds; and what becomes of it else."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence

from tidegate.cluster.nats.counters import Counters
from tidegate.cluster.nats.parts import Splitter
from tidegate.cluster.nats.protocol import encode_publish
from tidegate.errors import ClusterError
from tidegate.net.link import Link

__all__ = ["Outgoing"]

logger = logging.getLogger("tidegate")

DEFAULT_MAX_PAYLOAD = 1024 * 1024
"""Bytes, until a server has said what it takes; as servers have it by default."""


class Outgoing:
    """Of one client.

    Args:
        sender: as `Splitter` has it.
        limit: bytes that may wait to leave.
        hold_seconds: for which what is published without a connection is kept.

    Attributes:
        link: while there is a connection.
        max_payload: bytes of a message that the server takes.
        problem: why there is no connection; empty while there is one.
    """

    __slots__ = (
        "_broke",
        "_confirmed",
        "_counters",
        "_held",
        "_held_size",
        "_hold_seconds",
        "_hold_until",
        "_limit",
        "_splitter",
        "link",
        "max_payload",
        "problem",
    )

    def __init__(self, sender: str, limit: int, hold_seconds: float, counters: Counters) -> None:
        self.link: Link | None = None
        self.max_payload = DEFAULT_MAX_PAYLOAD
        self.problem = "it is not connected yet"
        self._limit = limit
        self._counters = counters
        self._splitter = Splitter(sender)
        self._confirmed = 0  # of what was published
        self._broke = False  # since the last flush, with something unconfirmed
        self._held: deque[tuple[int, bytes]] = deque()  # how many messages, and their bytes
        self._held_size = 0
        self._hold_seconds = hold_seconds
        self._hold_until = time.monotonic() + hold_seconds

    @property
    def size(self) -> int:
        """Bytes that wait to leave."""
        return self._held_size if self.link is None else self.link.queued_bytes

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken."""
        return self._held_size > self._limit if self.link is None else self.link.is_full

    def publish(self, subject: str, payload: bytes, reply: str | None, headers: Mapping[str, str] | None) -> None:
        """As the client has it."""
        if len(payload) > self.max_payload:
            raise ValueError(f"a payload of {len(payload)} bytes for {subject}: NATS takes {self.max_payload}")
        self._send(encode_publish(subject, payload, reply, headers), 1)

    def publish_parts(self, messages: Sequence[tuple[str, bytes]], reply: str | None) -> None:
        """As the client has it."""
        lines = [line for subject, payload in messages for line in self._lines(subject, payload, reply)]
        self._send(lines[0] if len(lines) == 1 else b"".join(lines), len(lines))

    def _lines(self, subject: str, payload: bytes, reply: str | None) -> list[bytes]:
        if len(payload) <= self.max_payload:
            return [encode_publish(subject, payload, reply)]
        parts = self._splitter.split(payload, self.max_payload)
        return [encode_publish(subject, part, reply, headers) for headers, part in parts]

    def _send(self, data: bytes, count: int) -> None:
        link = self.link
        if link is None:
            self._hold(data, count)
            return
        if link.is_full:
            self._counters.refused += count
            raise ClusterError(
                f"the NATS server has not taken {link.queued_bytes} bytes yet: nothing more is published meanwhile"
            )
        self._counters.published += count
        link.send(data)

    def _hold(self, data: bytes, count: int) -> None:
        is_full = bool(self._held) and self._held_size + len(data) > self._limit
        if is_full or time.monotonic() >= self._hold_until:
            self._counters.refused += count
            raise ClusterError(f"nothing can be published over NATS: {self.problem}")
        self._counters.held += count
        self._held.append((count, data))
        self._held_size += len(data)

    def begin(self, link: Link, max_payload: int) -> None:
        """There is a connection: what was held leaves first."""
        self.link = link
        self.problem = ""
        self.max_payload = max_payload
        held, self._held, self._held_size = self._held, deque(), 0
        for count, data in held:
            self._counters.published += count
            link.send(data)

    def end(self, problem: str) -> None:
        """It is lost."""
        if self.link is not None:
            self._hold_until = time.monotonic() + self._hold_seconds
        self.link = None
        self.problem = problem
        missing = self._counters.published - self._confirmed
        if missing:
            self._counters.unconfirmed += missing
            self._confirmed = self._counters.published
            self._broke = True

    def expire(self) -> None:
        """Drop what was held for too long."""
        if self._held and time.monotonic() >= self._hold_until:
            count = sum(count for count, _ in self._held)
            self._counters.expired += count
            self._held.clear()
            self._held_size = 0
            logger.error("%d messages were not published over NATS: %s", count, self.problem)

    @property
    def is_confirmed(self) -> bool:
        """Whether the server has confirmed all that was published."""
        return self._confirmed == self._counters.published

    def confirm(self, mark: int) -> None:
        """The server has taken so many of what was published."""
        self._confirmed = max(self._confirmed, mark)

    def raise_break(self) -> None:
        """Tell of a break since this was called last, if there was one.

        Raises:
            ClusterError: of what was published before it, some may be lost.
        """
        if self._broke:
            self._broke = False
            raise ClusterError("a connection to NATS broke since the last flush: what was published may be lost")

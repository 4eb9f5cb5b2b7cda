"""Messages over a server's limit: split into parts, which leave one behind the other, and joined again.

Each part has a header that says whose it is and which: ``Tidegate-Part: sender number index count``. The joined message
is there when its last part comes; until then others of the same sender can't come, as it sends the parts in a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from tidegate.cluster.nats.protocol import MAX_PAYLOAD_SIZE, Message

__all__ = ["MAX_JOINED_SIZE", "PART", "Joiner", "Splitter"]

PART = "Tidegate-Part"
ROOM = 256
"""Bytes of a part that are left to its header."""
MAX_JOINED_SIZE = MAX_PAYLOAD_SIZE
MAX_PARTS = 65_536
MAX_MESSAGES = 1024
"""That may be incomplete at a time."""
MAX_SECONDS = 30.0
"""For the next part to come."""


class Splitter:
    """Splits what one client publishes.

    Args:
        sender: a text without spaces that no other client has.
    """

    __slots__ = ("_numbers", "_sender")

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._numbers = itertools.count(1)

    def split(self, payload: bytes, limit: int) -> Iterator[tuple[dict[str, str], bytes]]:
        """The headers and the payload of each part.

        Args:
            limit: the server's ``max_payload``.

        Raises:
            ValueError: it is longer than can be joined, or would be more parts than that.
        """
        step = limit - ROOM
        count = -(-len(payload) // step) if step > 0 else MAX_PARTS + 1
        if len(payload) > MAX_JOINED_SIZE or count > MAX_PARTS:
            raise ValueError(
                f"a payload of {len(payload)} bytes for a NATS server that takes {limit} at once: the longest that "
                f"is split has {MAX_JOINED_SIZE}"
            )
        return self._parts(payload, step, count)

    def _parts(self, payload: bytes, step: int, count: int) -> Iterator[tuple[dict[str, str], bytes]]:
        number = next(self._numbers)
        for index in range(count):
            yield {PART: f"{self._sender} {number} {index} {count}"}, payload[index * step : (index + 1) * step]


class Part(NamedTuple):
    """Which part of which message it is."""

    sender: str
    number: int
    place: int
    of: int


class Unfinished:
    """A message of which parts are missing."""

    __slots__ = ("count", "heard", "number", "pieces", "size")

    def __init__(self, part: Part) -> None:
        self.number = part.number
        self.count = part.of
        self.pieces: list[bytes] = []
        self.size = 0
        self.heard = 0.0


class Joiner:
    """Joins what came for one client.

    Args:
        max_size: bytes of all that is incomplete.

    Attributes:
        dropped: messages that were given up: parts of them were lost, or too much was incomplete.
    """

    __slots__ = ("_max_size", "_open", "_size", "dropped")

    def __init__(self, max_size: int = 2 * MAX_JOINED_SIZE) -> None:
        self._max_size = max_size
        self._open: dict[tuple[str, int], Unfinished] = {}  # by sender and subscription; who was heard last is last
        self._size = 0
        self.dropped = 0

    @property
    def size(self) -> int:
        """Bytes of what is incomplete."""
        return self._size

    def __len__(self) -> int:
        return len(self._open)

    def take(self, message: Message, now: float) -> Message | None:
        """Take a part; gives the message of which it was the last.

        Args:
            now: seconds of any clock that goes on.
        """
        part = _read_part(message)
        if part is None:
            self.dropped += 1
            return None
        key = (part.sender, message.sid)
        found = self._open.pop(key, None)
        if found is not None:
            self._size -= found.size
            if (found.number, found.count, len(found.pieces)) != (part.number, part.of, part.place):
                self.dropped += found.number != part.number
                found = None
        if found is None:
            if part.place:
                self.dropped += part.place == part.of - 1  # what is missing lies before
                return None
            found = Unfinished(part)
        return self._add(key, found, message, now)

    def _add(self, key: tuple[str, int], found: Unfinished, message: Message, now: float) -> Message | None:
        found.pieces.append(message.payload)
        found.size += len(message.payload)
        if found.size > MAX_JOINED_SIZE:
            self.dropped += 1
            return None
        if len(found.pieces) == found.count:
            return message._replace(payload=b"".join(found.pieces), headers=None)
        found.heard = now
        self._open[key] = found
        self._size += found.size
        while self._size > self._max_size or len(self._open) > MAX_MESSAGES:
            self._drop_oldest()
        return None

    def sweep(self, now: float) -> None:
        """Give up what has not been heard of for long."""
        while self._open and next(iter(self._open.values())).heard < now - MAX_SECONDS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        key = next(iter(self._open))
        self._size -= self._open.pop(key).size
        self.dropped += 1


def _read_part(message: Message) -> Part | None:
    assert message.headers is not None
    words = message.headers.fields[PART].split(" ")
    if len(words) != 4 or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words[1:]):
        return None
    number, index, count = map(int, words[1:])
    if not index < count <= MAX_PARTS or len(words[0]) > 64:
        return None
    return Part(words[0], number, index, count)

"""A BusinessWorker as a gateway knows it: its link, its clients, and the events that it has not started yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from tidegate.net.link import Link
from tidegate.wire import commands

if TYPE_CHECKING:
    from tidegate.gateway.connection import GatewayConnection

__all__ = ["EVENT_SIZE", "Event", "Peer", "Window"]

Event: TypeAlias = "tuple[GatewayConnection, int, str | bytes]"
"""Client, command, and what it carries: text or binary."""

EVENT_SIZE = 100
"""Bytes that an event counts besides what it carries."""
ALL_EVENTS = frozenset(commands.EVENT_NAMES)


class Window:
    """Events sent to a worker that it has not started, as far as it has said (PROGRESS).

    Events are numbered from 1 in the order in which they were sent on the link. One of a busy client may wait for long
    while millions of others' start, so that this holds nothing but what waits, by number.

    Attributes:
        events: those that wait, in the order of their numbers.
        sent: how many were sent on the link.
        size: what they carry, in characters and bytes.
    """

    __slots__ = ("_finished", "_first", "_started", "events", "sent", "size")

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.sent = 0
        self.size = 0
        self._first = 1  # none with a lower number waits
        self._started = 0
        self._finished = 0

    @property
    def running(self) -> int:
        """Events that were started and not finished."""
        return self._started - self._finished

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return self.size + EVENT_SIZE * len(self.events)

    def add(self, event: Event) -> None:
        """Note one that is sent."""
        self.sent += 1
        self.size += len(event[2])
        self.events[self.sent] = event

    def progress(self, started: int, finished: int, numbers: Sequence[int] = ()) -> None:
        """Take note of what a worker says.

        Args:
            started: events since the link began.
            finished: of them.
            numbers: which were started since it last said so; the oldest unless given.

        Raises:
            ValueError: it can't be so; nothing was noted.
        """
        new = started - self._started
        if not (new >= 0 and self._finished <= finished <= started <= self.sent):
            raise ValueError(f"PROGRESS to {started} started and {finished} finished, of {self.sent} sent")
        if not numbers:
            self._take_first(new)
        elif len(numbers) == new == len(set(numbers)) and self.events.keys() >= set(numbers):
            for number in numbers:
                self.size -= len(self.events.pop(number)[2])
        else:
            raise ValueError(f"PROGRESS by {new} with {len(numbers)} event numbers, not all of such as wait")
        self._started, self._finished = started, finished

    def _take_first(self, count: int) -> None:
        take, number, size = self.events.pop, self._first, 0
        while count:
            event = take(number, None)
            number += 1
            if event is not None:
                size += len(event[2])
                count -= 1
        self._first = number
        self.size -= size

    def rest(self) -> list[Event]:
        """The events that were not started, in order."""
        return list(self.events.values())


class Peer:
    """A BusinessWorker process.

    Attributes:
        key: by which it is known again, its address and what it calls itself.
        link: None while it is gone.
        clients: how many are its own.
        is_tidegate: whether it is one of Tidegate's: it understands the extensions.
        events: the commands of those that it wants.
        window: what it has not started; only of one of Tidegate's, the original does not say.
        is_draining: whether it takes no new events.
        held_up: clients that are not read from since it has enough.
        was_full: whether somebody may wait for it to have less.
    """

    __slots__ = (
        "clients",
        "events",
        "held_up",
        "is_draining",
        "is_tidegate",
        "key",
        "limit",
        "link",
        "was_full",
        "window",
    )

    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.limit = limit
        self.clients = 0
        self.held_up: set[GatewayConnection] = set()
        self.link: Link | None = None
        self.is_tidegate = False
        self.events = ALL_EVENTS
        self.window = Window()
        self.is_draining = self.was_full = False

    def come(self, link: Link, is_tidegate: bool, events: frozenset[int] | None) -> None:
        """It is there, on a new link."""
        self.link = link
        self.is_tidegate = is_tidegate
        self.events = ALL_EVENTS if events is None else events
        self.window = Window()
        self.is_draining = self.was_full = False

    @property
    def is_full(self) -> bool:
        """Whether it has as much as it may have: on its link, or taken and not started."""
        if self.window.weight > self.limit or (self.link is not None and self.link.is_full):
            self.was_full = True
            return True
        return False

    def __repr__(self) -> str:
        return f"<worker {self.key} with {self.clients} clients>"

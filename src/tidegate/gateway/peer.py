"""A BusinessWorker as a gateway knows it: its link, its clients, and the events that it has not started yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from tidegate.net.link import Link
from tidegate.wire import commands

if TYPE_CHECKING:
    from tidegate.gateway.connection import GatewayConnection

__all__ = ["Event", "Peer", "Window"]

Event: TypeAlias = "tuple[GatewayConnection, int, str | bytes]"
"""Client, command, and what it carries: text or binary."""

ALL_EVENTS = frozenset(commands.EVENT_NAMES)


class Window:
    """Events sent to a worker that it has not started, as far as it has said (PROGRESS).

    Events are numbered from 1 in the order in which they were sent on the link. Those of a busy client wait while later
    ones of others start, so that what is started is no mere prefix: `_ahead` has the numbers beyond the first that is
    not.
    """

    __slots__ = ("_ahead", "_base", "_finished", "_started", "events")

    def __init__(self) -> None:
        self.events: deque[Event] = deque()  # the first has the number `_base` + 1
        self._base = 0
        self._ahead: set[int] = set()
        self._started = 0
        self._finished = 0

    @property
    def running(self) -> int:
        """Events that were started and not finished."""
        return self._started - self._finished

    def progress(self, started: int, finished: int, numbers: Sequence[int] = ()) -> None:
        """Take note of what a worker says.

        Args:
            started: events since the link began.
            finished: of them.
            numbers: which were started since it last said so; the oldest unless given.

        Raises:
            ValueError: it can't be so.
        """
        new = started - self._started
        sent = self._base + len(self.events)
        if not (new >= 0 and self._finished <= finished <= started <= sent) or (numbers and len(numbers) != new):
            raise ValueError(f"PROGRESS to {started} started and {finished} finished, of {sent} sent")
        for number in numbers:
            if not self._base < number <= sent or number in self._ahead:
                raise ValueError(f"PROGRESS with event {number}, which can't have been started now")
            self._ahead.add(number)
            self._skip()
        if not numbers:
            for _ in range(new):
                self.events.popleft()
                self._base += 1
                self._skip()
        self._started, self._finished = started, finished

    def _skip(self) -> None:
        """Let go of those at the front that are started."""
        while self._base + 1 in self._ahead:
            self._base += 1
            self._ahead.discard(self._base)
            self.events.popleft()

    def rest(self) -> list[Event]:
        """The events that were not started."""
        return [event for number, event in enumerate(self.events, self._base + 1) if number not in self._ahead]


class Peer:
    """A BusinessWorker process.

    Attributes:
        key: by which it is known again, its address and what it calls itself.
        link: None while it is gone.
        clients: how many are its own.
        events: the commands of those that it wants.
        window: what it has not started; only of a worker that is Tidegate's, the original does not say.
        is_draining: whether it takes no new events.
        held_up: clients that are not read from since its link is full.
    """

    __slots__ = ("clients", "events", "held_up", "is_draining", "is_tidegate", "key", "link", "window")

    def __init__(self, key: str, link: Link, is_tidegate: bool = False, events: frozenset[int] | None = None) -> None:
        self.key = key
        self.link: Link | None = link
        self.is_tidegate = is_tidegate
        self.events = ALL_EVENTS if events is None else events
        self.clients = 0
        self.window = Window()
        self.is_draining = False
        self.held_up: set[GatewayConnection] = set()

    def __repr__(self) -> str:
        return f"<worker {self.key} with {self.clients} clients>"

"""A BusinessWorker as a gateway knows it: its link, its clients, and the events that it has not started yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tidegate.net.link import Link
from tidegate.wire import commands

if TYPE_CHECKING:
    from tidegate.gateway.connection import GatewayConnection

__all__ = ["EVENT_SIZE", "Event", "Peer", "Sent", "Window"]

Sent: TypeAlias = "tuple[GatewayConnection, int, str | bytes]"
"""Client, command, and what it carries: text or binary."""
Event: TypeAlias = "tuple[GatewayConnection, int, str | bytes, bool]"
"""The same, and whether it was with a worker before that is gone."""

EVENT_SIZE = 100
"""Bytes that an event counts besides what it carries."""
ALL_EVENTS = frozenset(commands.EVENT_NAMES)


class Window:
    """Events sent to a worker that it has not started, as far as it has said (PROGRESS).

    Events are numbered from 1 in the order in which they were sent on the link. Most are started in that order, so that
    those of one read are kept together. One of a busy client may wait for long while millions of others' start: once a
    worker names events, each that waits is kept by its number, and nothing else is.

    Attributes:
        sent: how many were sent on the link.
        weight: about how many bytes those that wait take.
    """

    __slots__ = ("_finished", "_first", "_loose", "_runs", "_started", "_taken", "sent", "weight")

    def __init__(self) -> None:
        self.sent = 0
        self.weight = 0
        self._runs: deque[tuple[GatewayConnection, int, Sequence[str | bytes]]] = deque()
        self._taken = 0  # events of the first run that were started
        self._loose: dict[int, Sent] = {}  # those that came before all runs, by number
        self._first = 1  # no loose one with a lower number waits
        self._started = 0
        self._finished = 0

    @property
    def waiting(self) -> int:
        """Events that were not started."""
        return self.sent - self._started

    @property
    def running(self) -> int:
        """Events that were started and not finished."""
        return self._started - self._finished

    def add(self, client: GatewayConnection, command: int, messages: Sequence[str | bytes]) -> None:
        """Note some of a client's that are sent; `messages` is kept."""
        count = len(messages)
        self.sent += count
        self.weight += EVENT_SIZE * count + (len(messages[0]) if count == 1 else sum(map(len, messages)))
        self._runs.append((client, command, messages))

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
        else:
            self._loosen()
            named = set(numbers)
            if not (len(numbers) == new == len(named) and self._loose.keys() >= named):
                raise ValueError(f"PROGRESS by {new} with {len(numbers)} event numbers, not all of such as wait")
            for number in numbers:
                self.weight -= len(self._loose.pop(number)[2])
        self._started, self._finished = started, finished
        self.weight -= EVENT_SIZE * new

    def _take_first(self, count: int) -> None:
        loose, runs = self._loose, self._runs
        while count and loose:
            event = loose.pop(self._first, None)
            self._first += 1
            if event is not None:
                self.weight -= len(event[2])
                count -= 1
        while count:
            messages = runs[0][2]
            if self._taken or len(messages) > count:
                messages = messages[self._taken : self._taken + count]
                self._taken += len(messages)
            else:
                self._taken = len(messages)
            self.weight -= sum(map(len, messages))
            count -= len(messages)
            if self._taken == len(runs[0][2]):
                runs.popleft()
                self._taken = 0

    def _loosen(self) -> None:
        """Keep each event by its number."""
        events = list(self._of_runs())
        first = self.sent - len(events) + 1
        if not self._loose:
            self._first = first
        self._loose.update(enumerate(events, first))
        self._runs.clear()
        self._taken = 0

    def _of_runs(self) -> Iterator[Sent]:
        taken = self._taken
        for client, command, messages in self._runs:
            for message in messages[taken:]:
                yield client, command, message
            taken = 0

    def rest(self) -> list[Sent]:
        """The events that were not started, in order."""
        return [*self._loose.values(), *self._of_runs()]


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

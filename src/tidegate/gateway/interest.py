"""What a gateway on NATS listens to: the subjects of the uids and groups that its clients have.

A subscription is made when the first member comes and given up when the last goes, at the end of a turn of the loop:
whoever comes and goes within one costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from tidegate.cluster.nats.subjects import Subjects
from tidegate.gateway.tables import GROUP, Kind

__all__ = ["Interest", "Subscriber"]

Name: TypeAlias = tuple[Kind, bytes]


class Subscriber(Protocol):
    """A client of NATS."""

    def subscribe(self, subject: str) -> int: ...

    def unsubscribe(self, sid: int) -> None: ...


class Interest:
    """One gateway process's.

    Args:
        subscriber: on whose connection it listens.
    """

    def __init__(self, subscriber: Subscriber, subjects: Subjects) -> None:
        self._subscriber = subscriber
        self._subjects = subjects
        self._loop = asyncio.get_running_loop()
        self._sids: dict[Name, int] = {}
        self._changed: dict[Name, Callable[[Name], None]] = {}  # what is to be done for each
        self._timer: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._sids)

    def came(self, kind: Kind, name: bytes) -> None:
        """There is a client of that name."""
        self._change((kind, name), self._begin)

    def went(self, kind: Kind, name: bytes) -> None:
        """There is none any more."""
        self._change((kind, name), self._end)

    def _change(self, name: Name, do: Callable[[Name], None]) -> None:
        if self._changed.pop(name, None) is None:
            self._changed[name] = do
            if self._timer is None:
                self._timer = self._loop.call_soon(self.settle)

    def settle(self) -> None:
        """Listen to what there is now: what is published from here on comes behind it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            changed, self._changed = self._changed, {}
            for name, do in changed.items():
                do(name)

    def _begin(self, name: Name) -> None:
        kind, text = name
        subject = self._subjects.group(text) if kind == GROUP else self._subjects.uid(text)
        self._sids[name] = self._subscriber.subscribe(subject)

    def _end(self, name: Name) -> None:
        self._subscriber.unsubscribe(self._sids.pop(name))

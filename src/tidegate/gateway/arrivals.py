"""Push clients that came for one command are served in the order in which they came.

A program may open a connection for each command and close it at once. A large command needs several reads, between
which a later connection's small one would overtake it: that one waits. It does not wait for a connection that sent
nothing yet, nor for more than a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tidegate.wire.runs import Run

__all__ = ["Arrivals"]

PATIENCE = 1.0
"""Seconds that others wait for the rest of a command, once it has begun."""


class Arrival(Protocol):
    """A connection that came."""

    @property
    def is_amid(self) -> bool:
        """Whether it is to be waited for: a part of a command has come."""
        ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


A = TypeVar("A", bound=Arrival)


class Arrivals(Generic[A]):
    """Those that were not served yet.

    Args:
        serve: is called with a connection and the runs of packets of which it had to be told to wait.
    """

    def __init__(self, serve: Callable[[A, list[Run]], None]) -> None:
        self._serve = serve
        self._loop = asyncio.get_running_loop()
        self._fresh: dict[A, float | None] = {}  # in their order; with the time until which they are waited for
        self._waiting: dict[A, list[Run]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_going_on = False

    def __contains__(self, link: A) -> bool:
        return link in self._fresh

    def add(self, link: A) -> None:
        """One is here."""
        self._fresh[link] = None

    def discard(self, link: A) -> None:
        """One was served, or is gone: those behind it may be served."""
        self._fresh.pop(link, None)
        self._waiting.pop(link, None)
        if self._waiting:
            self._go_on()

    def hold(self, link: A, runs: list[Run]) -> bool:
        """Keep what came from one for later, where others have to be waited for; gives whether it is so."""
        held = self._waiting.get(link)
        if held is not None:
            held += runs
            return True
        if not self._has_to_wait(link):
            return False
        self._waiting[link] = runs
        link.pause_reading()
        return True

    def close(self) -> None:
        """Serve those that wait, and keep nobody waiting any more."""
        if self._timer is not None:
            self._timer.cancel()
        waiting = [(link, runs) for link in self._fresh if (runs := self._waiting.get(link))]
        self._fresh.clear()
        self._waiting.clear()
        for link, runs in waiting:
            self._serve(link, runs)

    def _has_to_wait(self, link: A) -> bool:
        has_to = False
        for other in tuple(self._fresh) if len(self._fresh) > 1 else ():
            if other is link:
                break
            # Each is asked, so that all are waited for at the same time and not one after the other.
            if other in self._waiting or (other.is_amid and self._is_waited_for(other)):
                has_to = True
        return has_to

    def _is_waited_for(self, link: A) -> bool:
        deadline = self._fresh[link]
        if deadline is None:
            deadline = self._fresh[link] = self._loop.time() + PATIENCE
        elif deadline <= self._loop.time():
            del self._fresh[link]
            return False
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._out_of_patience)
        return True

    def _out_of_patience(self) -> None:
        self._timer = None
        self._go_on()

    def _go_on(self) -> None:
        """Serve those that have to wait no more, in their order."""
        if self._is_going_on:
            return
        self._is_going_on = True
        try:
            for link in [link for link in self._fresh if link in self._waiting]:
                runs = self._waiting.pop(link, None)
                if runs is None:  # it has gone meanwhile
                    continue
                if self._has_to_wait(link):
                    self._waiting[link] = runs
                    return
                link.resume_reading()
                self._serve(link, runs)
        finally:
            self._is_going_on = False

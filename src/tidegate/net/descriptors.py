"""File descriptors that are left for what a process itself needs: links, files, answers to `status`.

Whoever can open connections can take them all; then neither a worker nor a push could come in any more.
"""

from __future__ import annotations

import os
import sys

if sys.platform != "win32":
    try:
        import resource
    except ImportError:
        resource = None  # type: ignore[assignment]
else:
    resource = None

__all__ = ["Reserve"]

RESERVED = 64
"""Descriptors that clients don't get: of a process that may have few, an eighth."""

FAR, TURNS = 512, 64
"""So far from the ceiling it is not looked at each turn of accepting, but each 64th in any case."""


class Reserve:
    """Tells one listener when to stop: the system gives the lowest descriptor that is free."""

    __slots__ = ("_ceiling", "_newest", "_turns")

    def __init__(self) -> None:
        self._newest = 0
        self._ceiling = sys.maxsize
        self._turns = 0

    def look(self, fd: int) -> None:
        """See how many there may be, which may change while the process runs, and are; `fd` is any that is open.

        It costs as much as accepting does: where the newest is far from the end, it is left out most times.
        """
        turn, self._turns = self._turns, self._turns + 1
        if resource is None or (turn % TURNS and self._newest < self._ceiling - FAR):
            return
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._ceiling = sys.maxsize if limit == resource.RLIM_INFINITY else limit - min(RESERVED, limit // 8)
        try:
            self._newest = os.dup(fd)
        except OSError:
            self._newest = sys.maxsize
        else:
            os.close(self._newest)
            self._newest -= 1  # it is free

    def note(self, fd: int) -> None:
        """A connection has got this one; `sys.maxsize` where there was none to be had."""
        self._newest = fd

    @property
    def is_reached(self) -> bool:
        """Whether the next one is not for clients."""
        return self._newest >= self._ceiling - 1

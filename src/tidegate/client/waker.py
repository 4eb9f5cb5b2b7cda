"""Wakes a thread that waits for sockets."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Waker"]


class Waker:
    """A thread waits for it beside its other sockets; there is nothing to it until it is opened."""

    __slots__ = ("_pair",)

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        """Make it ready for use."""
        if self._pair is None:
            self._pair = socket.socketpair()
            for sock in self._pair:
                sock.setblocking(False)

    @property
    def is_open(self) -> bool:
        return self._pair is not None

    def fileno(self) -> int:
        """Readable once it was woken."""
        assert self._pair is not None
        return self._pair[0].fileno()

    def wake(self) -> None:
        """Wake whoever waits, or is about to."""
        if self._pair is not None:
            with contextlib.suppress(OSError):  # as often as it can take
                self._pair[1].send(b"\0")

    def clear(self) -> None:
        """Forget that it was woken."""
        if self._pair is not None:
            with contextlib.suppress(OSError):
                self._pair[0].recv(4096)

    def close(self) -> None:
        """Close it; nobody may wake it any more."""
        if self._pair is not None:
            for sock in self._pair:
                sock.close()

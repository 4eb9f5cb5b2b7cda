"""An outbox that many connections share, since the same was sent to all of them, and how it is written."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tidegate.speedups import compiled

if TYPE_CHECKING:
    from tidegate.net.audience import Audience
    from tidegate.net.outbox import Outbox

__all__ = ["Batch", "send_many", "send_many_in_python", "write_together"]


class Batch(list[bytes]):
    """Frames that wait for each of its users; only its audience adds to it.

    Attributes:
        audience: that it belongs to.
        size: bytes.
        users: connections whose outbox it is.
    """

    __slots__ = ("_joined", "_length", "audience", "size", "users")

    def __init__(self, audience: Audience, frame: bytes) -> None:
        super().__init__((frame,))
        self.audience = audience
        self.size = len(frame)
        self.users = 0
        self._joined = frame
        self._length = 1

    def add(self, frame: bytes) -> None:
        """Add what is sent to all of its users."""
        self.append(frame)
        self.size += len(frame)

    def joined(self) -> bytes:
        """All of it in one piece, which its users share as well."""
        if self._length != len(self):
            self._joined = b"".join(self)
            self._length = len(self)
        return self._joined

    def left_by(self, connections: list[Outbox]) -> None:
        """It is the outbox of these no more."""
        self.users -= len(connections)
        self.audience.left(connections, self)


def write_together(connections: Iterable[Outbox]) -> list[Outbox]:
    """Write the batches that some of these share, each with one call for all of its users; gives the others."""
    others: list[Outbox] = []
    shared: dict[int, tuple[Batch, list[Outbox]]] = {}
    for connection in connections:
        queue = connection._queue
        if type(queue) is not Batch or connection._socket is None:
            others.append(connection)
        elif (known := shared.get(id(queue))) is None:
            shared[id(queue)] = (queue, [connection])
        else:
            known[1].append(connection)
    for batch, users in shared.values():
        data = batch.joined()
        users[0].endpoint.stats.frames_out += len(batch) * len(users)
        taken = send_many([user._socket for user in users], data)  # type: ignore[misc] # there is one, as was seen
        for user in users:
            user._queue = None
        batch.left_by(users)
        if taken.count(len(data)) != len(users):
            for user, size in zip(users, taken, strict=True):
                if size != len(data):
                    user.wrote_in_part(data, size, len(batch))
    return others


def send_many_in_python(sockets: list[socket.socket], data: bytes) -> list[int]:
    """Send the same on each of some sockets that don't block; gives how many bytes each took, -1 where it broke."""
    taken = []
    for sock in sockets:
        try:
            taken.append(sock.send(data))
        except (BlockingIOError, InterruptedError):
            taken.append(0)
        except OSError:
            taken.append(-1)
    return taken


send_many: Callable[[list[socket.socket], bytes], list[int]] = getattr(compiled, "send_many", send_many_in_python)

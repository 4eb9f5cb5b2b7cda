"""An outbox that many connections share, since the same was sent to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.net.audience import Audience
    from tidegate.net.outbox import Outbox

__all__ = ["Batch"]


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

    def left_by(self, connection: Outbox) -> None:
        """It is a connection's outbox no more."""
        self.users -= 1
        self.audience.left(connection, self)

"""The lines of a Register's peers, and what comes to its port that is none of them. No I/O."""

from __future__ import annotations

from tidegate.errors import ProtocolError
from tidegate.protocols import Text
from tidegate.protocols.base import Message, ended_by
from tidegate.wire.strangers import LEAST, stranger

__all__ = ["Lines"]

MAX_LINE_SIZE = 64 * 1024
"""Bytes of a line from a peer; the longest that is of use has some 200."""


class Lines(Text):
    """A codec that looks at the first bytes of a connection."""

    __slots__ = ("_has_begun",)

    def __init__(self) -> None:
        super().__init__(MAX_LINE_SIZE)
        self._has_begun = False

    def feed(self, data: memoryview) -> list[Message]:
        if not self._has_begun:
            self._has_begun = True
            if what := stranger(bytes(data[:LEAST])):
                self.ending = ended_by(ProtocolError(what, 1008))
        return super().feed(data)

"""Who may come in at the inner port, and those who have not said yet who they are: bounded in number, size and time."""

from __future__ import annotations

import hmac
import json
from typing import Any, Generic, TypeVar

from tidegate.errors import ProtocolError
from tidegate.wire.packet import Data
from tidegate.wire.runs import Run, RunReader, scan_runs
from tidegate.wire.strangers import LEAST, stranger

__all__ = ["FIRST_SECONDS", "MAX_LINKS", "MAX_UNKNOWN", "GreetingReader", "Reception"]

FIRST_SECONDS = 10
"""Until a connection must have sent its first packet."""
FIRST_SIZE = 64 * 1024
"""Bytes of that, where it has to show a secret; a greeting of use has some 200."""
MAX_UNKNOWN = 1_000
"""Connections that have not sent it yet; over that the oldest goes, since one that means well sends it at once."""
MAX_LINKS = 10_000
"""Connections in all."""

L = TypeVar("L")


class GreetingReader(RunReader):
    """Finds runs of packets in a stream, of which the first packet may be smaller than the others.

    Args:
        limit: bytes of a packet.
        first_limit: bytes of the first.
    """

    __slots__ = ("_later_limit",)

    def __init__(self, limit: int, first_limit: int) -> None:
        super().__init__(min(limit, first_limit))
        self._later_limit = limit  # 0 once it holds

    def _scan(self, data: Data, found: list[Run]) -> int:
        return self._scan_first(data, found) if self._later_limit else scan_runs(data, self._limit, found)

    def _scan_first(self, data: Data, found: list[Run]) -> int:
        position = scan_runs(data, self._limit, found)
        if found:
            self._limit, self._later_limit = self._later_limit, 0
            return position + scan_runs(memoryview(data)[position:], self._limit, found)
        if len(data) >= LEAST and (what := stranger(bytes(data[:LEAST]))):
            self.error = ProtocolError(what)
        return position

    def _fail(self, size: int, ext_size: int) -> None:
        if self.error is None:
            super()._fail(size, ext_size)


class Reception(Generic[L]):
    """Keeps the list of those who have come and said nothing, and knows the secret.

    Args:
        secret_key: that every connection must show; an empty one too.
    """

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()
        self._waiting: dict[L, int] = {}  # in their order, with the tick by which they must have spoken

    @property
    def has_secret(self) -> bool:
        """Whether a connection has to say more than that it is there."""
        return bool(self._secret)

    def reader(self, max_packet_size: int) -> GreetingReader:
        """For a connection that comes. Without a secret its first packet may be any command."""
        return GreetingReader(max_packet_size, FIRST_SIZE if self._secret else max_packet_size)

    def add(self, link: L, tick: int) -> L | None:
        """One has come; gives the one that has to go for it, where there are too many."""
        self._waiting[link] = tick + FIRST_SECONDS
        return next(iter(self._waiting)) if len(self._waiting) > MAX_UNKNOWN else None

    def discard(self, link: L) -> None:
        """It has spoken, or is gone."""
        self._waiting.pop(link, None)

    def late(self, tick: int) -> list[L]:
        """Those who have said nothing in time."""
        late = []
        for link, deadline in self._waiting.items():
            if tick <= deadline:
                break
            late.append(link)
        return late

    def read_greeting(self, body: bytes) -> dict[str, Any]:
        """Read the body of a first packet.

        Raises:
            ProtocolError: it is none, or shows a wrong secret.
        """
        try:
            says = json.loads(body)
        except (ValueError, RecursionError):
            says = None
        if not isinstance(says, dict):
            raise ProtocolError("its greeting is no JSON object")
        secret = says.get("secret_key")
        given = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else None
        if given is None or not hmac.compare_digest(given, self._secret):
            raise ProtocolError("a wrong secret_key")
        return says

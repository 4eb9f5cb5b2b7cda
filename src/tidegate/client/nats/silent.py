"""Gateways that answer nothing any more, of a client that does not listen while nobody calls it, without I/O.

Others hear from each gateway that it is there. Such a client has the bucket alone, which keeps all entries as they are
while its servers choose a leader; so a gateway is gone also where its entry is not written anew and it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.roster import DEFAULT_SILENCE
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["Silent"]


class Silent:
    """Those that did not answer, since when, and the revision of each one's entry then. Times are of any clock."""

    __slots__ = ("_revisions", "_since")

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, int]] = {}
        self._revisions: Mapping[str, int] = {}

    def note(self, addresses: Sequence[str], outcomes: Sequence[Message | ClusterError], began: float) -> None:
        """Take what came of questions.

        Args:
            began: when they were asked.
        """
        for address, outcome in zip(addresses, outcomes, strict=True):
            if isinstance(outcome, ClusterTimeoutError | NobodyListensError):
                self._since.setdefault(address, (began, self._revisions.get(address, 0)))
            else:
                self._since.pop(address, None)

    def without(self, revisions: Mapping[str, int], now: float) -> Iterable[str]:
        """Those of a list who are there.

        Args:
            revisions: of the entries, by address.
        """
        self._revisions = revisions
        for address, (_, revision) in tuple(self._since.items()):
            if revisions.get(address) != revision:  # it was written anew, or is gone by itself
                self._since.pop(address, None)
        return [address for address in revisions if now - self._since.get(address, (now, 0))[0] <= DEFAULT_SILENCE]

"""Gateways that answer nothing any more, of a client that does not listen while nobody calls it, without I/O.

Others hear from each gateway that it is there. Such a client has the bucket alone, which keeps all entries as they are
while its servers choose a leader; so a gateway is gone also where its entry is not written anew and it does not answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError

__all__ = ["OVERDUE_SECONDS", "Silent"]

OVERDUE_SECONDS = 3.5
"""What it takes a gateway to notice that its server is gone and to go to another, and a second more."""


class Silent:
    """Those that did not answer, since when, and the revision that only an entry can have which was written after that.

    Times are of any clock.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, int | None]] = {}

    def note(self, addresses: Collection[str], outcomes: Sequence[Message | ClusterError], began: float) -> None:
        """Take what came of questions. Of one that was lost with the connection it counts when it was asked.

        Args:
            began: when they were asked.
        """
        for address, outcome in zip(addresses, outcomes, strict=True):
            if isinstance(outcome, ClusterError):
                since, revision = self._since.get(address, (began, None))
                self._since[address] = min(since, began), revision
            else:
                self._since.pop(address, None)

    def deaf(self, until: float) -> None:
        """Nobody could be heard until then, so that nobody is silent since before."""
        for address, (since, _) in tuple(self._since.items()):
            if since < until:
                self._since[address] = until, None

    def renewed(self, revisions: Mapping[str, int], last: int) -> None:
        """Take what the bucket lists: whoever has written its entry anew is there.

        Args:
            revisions: of the entries, by address.
            last: how far the bucket has come.
        """
        # Another server may have a little more of what was written before it lost its leader.
        beyond = last + len(revisions)
        for address, (since, revision) in tuple(self._since.items()):
            if revision is None:
                self._since[address] = since, beyond
            elif revisions.get(address, 0) > revision:
                self._since.pop(address, None)  # another thread may have heard of it meanwhile

    def are_overdue(self, addresses: Sequence[str], now: float) -> list[str]:
        """Those of whom nothing was heard for so long that one more question that is not answered is enough."""
        return [each for each in addresses if now - self._since.get(each, (now, 0))[0] > OVERDUE_SECONDS]

    def forget(self, addresses: Sequence[str]) -> None:
        """They are gone, and nothing names them any more."""
        for address in addresses:
            self._since.pop(address, None)

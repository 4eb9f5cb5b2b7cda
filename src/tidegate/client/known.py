"""The gateways that a client knows of, for as long as that may be relied on."""

from __future__ import annotations

import time

from tidegate.errors import ClusterError
from tidegate.wire.register_line import Addresses

__all__ = ["KEEP_SECONDS", "KnownGateways"]

KEEP_SECONDS = 1.0
"""Gateways that stop are still there for two seconds after Register has stopped to name them."""


class KnownGateways:
    """Register's last list.

    Attributes:
        last: however old it is.
        lookups: how often Register was asked, so that of many who wait only one has to.
        error: of the last time; None where it answered.
    """

    __slots__ = ("_until", "error", "last", "lookups")

    def __init__(self) -> None:
        self.last = Addresses()
        self.lookups = 0
        self.error: ClusterError | None = None
        self._until = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether it needs not be asked for."""
        return time.monotonic() < self._until

    def learn(self, addresses: Addresses) -> None:
        """Register has named these."""
        self.last = addresses
        self.lookups += 1
        self.error = None
        self._until = time.monotonic() + KEEP_SECONDS

    def fail(self, error: ClusterError) -> None:
        """Register has not."""
        self.lookups += 1
        self.error = error

    def doubt(self) -> None:
        """A gateway failed, so that Register is to be asked next time."""
        self._until = 0.0

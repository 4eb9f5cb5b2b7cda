"""The gateways after a connection to NATS was lost: they are back at different moments, without I/O.

What is published for one that is not there yet reaches nobody, so that those who publish wait for it, for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

__all__ = ["GATHER_SECONDS", "PAUSE_SECONDS", "PROBE_SECONDS", "Regathering"]

logger = logging.getLogger("tidegate")

PROBE_SECONDS = 0.25
"""For each to answer, before it is asked again."""
GATHER_SECONDS = 3.0
"""That the gateways have."""
PAUSE_SECONDS = 0.05
"""Between questions."""


class Regathering:
    """Asks those that are missing until all have answered, or the time is over.

    Args:
        gateways: the addresses of those that were there.
        until: seconds of any clock that goes on.

    Attributes:
        missing: who is to be asked.
    """

    def __init__(self, gateways: Collection[str], until: float) -> None:
        self.missing = list(gateways)
        self._until = until

    def goes_on(self, now: float) -> bool:
        """Whether somebody is to be asked."""
        if self.missing and now >= self._until:
            logger.warning("going on without gateways that are not back on NATS: %s", ", ".join(self.missing))
            self.missing = []
        return bool(self.missing)

    def take(self, addresses: Collection[str]) -> None:
        """These have answered, or are not there any more: nobody waits for them."""
        self.missing = [each for each in self.missing if each not in addresses]

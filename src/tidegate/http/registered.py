"""Which gateways belong to the cluster: client ids name any address, and none but Register's are connected to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from tidegate.client.options import Options
from tidegate.cluster.lookup import look_up_async
from tidegate.errors import ClusterError

__all__ = ["Registered"]

KEEP_SECONDS = 1.0
"""That Register's list is taken for current, or Register for gone."""


class Registered:
    """The list, for one event loop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._last: Collection[str] = ()
        self._error: ClusterError | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def names(self, wanted: Collection[str]) -> Collection[str]:
        """The gateways that Register names, or has named last where it does not answer.

        Args:
            wanted: those that it is about.

        Raises:
            ClusterError: Register does not answer, and one of these was not in its last list.
        """
        async with self._asking:  # one asks, on behalf of all who wait
            if time.monotonic() >= self._until:
                await self._ask()
        if self._error is not None and not set(wanted) <= set(self._last):
            raise ClusterError(str(self._error)) from self._error
        return self._last

    async def _ask(self) -> None:
        options = self._options
        try:
            found = await look_up_async(*options.of_register)
            self._last, self._error = found.all, None
        except ClusterError as error:
            self._error = error
        self._until = time.monotonic() + KEEP_SECONDS

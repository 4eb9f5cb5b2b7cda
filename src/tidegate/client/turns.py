"""Keeps the calls of an asyncio client in order while Register is asked where the gateways are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tidegate.client.known import KnownGateways
from tidegate.client.options import Options
from tidegate.client.pipeline import Post
from tidegate.cluster.lookup import look_up_async
from tidegate.errors import ClusterError

__all__ = ["Turns"]

MAX_WAITING = 100_000
"""Calls that may wait for Register's answer."""


class Turns:
    """One question to Register at a time, on behalf of everybody who waits.

    Args:
        known: is told the answer.
    """

    def __init__(self, options: Options, known: KnownGateways) -> None:
        self._options = options
        self._known = known
        self._waiting: list[tuple[bool, Callable[[], list[Post]], asyncio.Future[list[Post]]]] = []
        self._lookup: asyncio.Task[None] | None = None

    @property
    def are_taken(self) -> bool:
        """Whether anybody waits for Register."""
        return self._lookup is not None

    async def take(self, needs_lookup: bool, send: Callable[[], list[Post]]) -> list[Post]:
        """Send now; or behind those who wait for Register, if any, or after it was asked on this call's behalf.

        Raises:
            ClusterError: Register gave no answer to one that needs it.
        """
        if self._lookup is None and not needs_lookup:
            return send()
        if len(self._waiting) >= MAX_WAITING:
            raise ClusterError(f"{MAX_WAITING} calls wait for Register's answer: no more are taken meanwhile")
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[list[Post]] = loop.create_future()
        self._waiting.append((needs_lookup, send, turn))
        if self._lookup is None:
            self._lookup = loop.create_task(self._look_up())
        return await turn

    async def close(self) -> None:
        """Ask no more; who waits is told."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait([self._lookup])

    async def _look_up(self) -> None:
        options = self._options
        error: ClusterError | None = ClusterError("Register could not be asked, since the client was closed")
        try:
            found = await look_up_async(*options.of_register)
            self._known.learn(found)
            error = None
        except ClusterError as problem:
            error = problem
        finally:
            if error is not None:
                self._known.fail(error)
            # All in one go: whoever comes from now on comes behind them.
            self._lookup = None
            waiting, self._waiting = self._waiting, []
            for needs_lookup, send, turn in waiting:
                if not turn.cancelled():
                    _run(turn, send, error if needs_lookup else None)


def _run(turn: asyncio.Future[list[Post]], send: Callable[[], list[Post]], error: ClusterError | None) -> None:
    if error is not None:
        turn.set_exception(error)
        return
    try:
        turn.set_result(send())
    except Exception as problem:  # the caller's own, such as a message over the limit
        turn.set_exception(problem)

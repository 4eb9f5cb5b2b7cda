"""Who is let in: handshakes wait here for a judgement, and are answered by it.

What is judged by is none of its business: pages by their origin, and everybody by a function that may take its time.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tidegate.net.origins import Origins
from tidegate.net.outbox import OPENING
from tidegate.protocols.handshake import Handshake, HandshakeError

if TYPE_CHECKING:
    from tidegate.net.connection import Connection
    from tidegate.net.endpoint import Endpoint

__all__ = ["Admission", "Judge", "Verdict"]

MAX_EARLY = 64 * 1024
"""Bytes that a client may send before it is answered, which it should not at all (RFC 6455 section 4.1)."""
SHOWN = 100
"""Characters of an origin, in an answer and in the log."""

Verdict: TypeAlias = HandshakeError | None
"""None lets a client in."""
Judge: TypeAlias = "Callable[[Connection, Handshake], Verdict | Awaitable[Verdict]]"
"""It must not raise."""


class Admission:
    """An endpoint's.

    Args:
        origins: of pages that may connect; None for all.
        judge: is asked about everybody else than pages of other origins; None lets them in.
        at_once: how many judgements may be under way; further clients wait, until the deadline of their handshake.
    """

    __slots__ = ("_at_once", "_endpoint", "_judge", "_origins", "_running", "_waiting")

    def __init__(
        self, endpoint: Endpoint, origins: Origins | None, judge: Judge | None = None, at_once: int = 1
    ) -> None:
        self._endpoint = endpoint
        self._origins = origins
        self._judge = judge
        self._at_once = at_once
        self._running: dict[Connection, asyncio.Task[None]] = {}  # until they end, also those of clients that are gone
        self._waiting: dict[Connection, None] = {}  # in their order

    def consider(self, connection: Connection) -> None:
        """Judge a connection whose request has come, now or later; something else may have come behind it."""
        if connection in self._running or connection in self._waiting:
            if connection._codec.early > MAX_EARLY:
                self.forget(connection)
                _turn_away(connection, HandshakeError(400, "too much sent before the handshake was answered"))
            return
        handshake = connection._codec.handshake
        assert handshake is not None
        if (refusal := self._refuse_origin(handshake)) is not None:
            self._endpoint.stats.refused_origins += 1
            _turn_away(connection, refusal)
        elif self._judge is None:
            _let_in(connection)
        elif len(self._running) < self._at_once:
            self._begin(connection, self._judge)
        else:
            self._waiting[connection] = None

    def _refuse_origin(self, handshake: Handshake) -> Verdict:
        origin = handshake.headers.get("origin")
        if self._origins is None or self._origins.allows(origin):
            return None
        return HandshakeError(403, f"pages of the origin {(origin or '')[:SHOWN]!r} may not connect here")

    def _begin(self, connection: Connection, judge: Judge) -> None:
        handshake = connection._codec.handshake
        assert handshake is not None
        verdict = judge(connection, handshake)
        if inspect.isawaitable(verdict):
            task = asyncio.ensure_future(self._wait(connection, verdict))
            self._running[connection] = task
            task.add_done_callback(partial(self._ended, connection))
        else:
            _answer(connection, verdict)

    async def _wait(self, connection: Connection, verdict: Awaitable[Verdict]) -> None:
        _answer(connection, await verdict)

    def _ended(self, connection: Connection, task: asyncio.Task[None]) -> None:
        del self._running[connection]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._endpoint.report(connection, _answer, error)
            connection.destroy()
        while self._waiting and len(self._running) < self._at_once:
            following = next(iter(self._waiting))
            del self._waiting[following]
            assert self._judge is not None
            self._begin(following, self._judge)

    def forget(self, connection: Connection) -> None:
        """Judge it no more: it is gone."""
        self._waiting.pop(connection, None)
        if (task := self._running.get(connection)) is not None:
            task.cancel()

    def expire(self, connection: Connection) -> bool:
        """The time for its handshake is over; gives whether it was waiting here, and has been told."""
        if connection._state != OPENING or not (connection in self._running or connection in self._waiting):
            return False
        self.forget(connection)
        endpoint = self._endpoint
        endpoint.stats.failed_auth += 1
        seconds = endpoint.limits.handshake_seconds
        endpoint.throttle.log(
            logging.WARNING,
            "%s: auth has not answered within %s s (handshake_timeout); it runs for %d clients, %d wait",
            endpoint.name,
            seconds,
            len(self._running),
            len(self._waiting),
        )
        _turn_away(connection, HandshakeError(503, "it took too long to find out who you are: try again"))
        return True


def _answer(connection: Connection, verdict: Verdict) -> None:
    if connection._state != OPENING or connection._codec.handshake is None:
        return  # it has gone meanwhile
    if verdict is None:
        _let_in(connection)
    else:
        _turn_away(connection, verdict)


def _let_in(connection: Connection) -> None:
    codec = connection._codec
    handshake = codec.handshake
    messages = codec.accept()
    connection._open(handshake)
    if messages:
        connection._deliver(messages)
    if codec.ending is not None:
        connection._ended(codec.ending)


def _turn_away(connection: Connection, error: HandshakeError) -> None:
    codec = connection._codec
    codec.reject(error)
    assert codec.ending is not None
    connection._ended(codec.ending)

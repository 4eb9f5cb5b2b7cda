"""A connection to a Register that is kept: made again when it ends, greeted with the same line, and kept awake.

What the Register says is for its owner to read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from tidegate.cluster.lines import LineReader
from tidegate.cluster.place import split_place
from tidegate.cluster.reasons import cause_of_refusal, no_register, reason_of
from tidegate.cluster.trust import Trust
from tidegate.errors import ProtocolError
from tidegate.net.link import Link, connect_link
from tidegate.wire.register_line import PING, parse_line

__all__ = ["Keeper", "stop_all"]

logger = logging.getLogger("tidegate")

CONNECT_SECONDS = 3.0
RETRY_SECONDS = 1.0
PING_SECONDS = 25.0
LASTING_SECONDS = 1.0
"""After which a connection that was not answered is no refused one: Register says nothing to a gateway it takes."""
LEAVE_SECONDS = 1.0
"""For what was written to leave at the end."""
FINE, AWAY, LOST, REFUSED = range(4)
LEVELS = {AWAY: logging.INFO, LOST: logging.WARNING, REFUSED: logging.ERROR}
REFUSALS = 2
"""Connections in a row that it ended at once and without a word, before that counts as refusing us: one that stops just
then, or whose successor takes over, does so once."""


class Keeper:
    """Keeps the connection to one Register.

    Args:
        register: its ``host:port``.
        greeting: the first line on each connection.
        received: is called with what it says, pings left out.
        changed: is called when the greeting has been sent, and when a connection that was greeted is lost.
        trust: for TLS.

    Attributes:
        is_connected: whether the greeting has been sent on a connection that is there.
    """

    def __init__(
        self,
        register: str,
        greeting: bytes,
        received: Callable[[str, dict[str, Any]], None],
        changed: Callable[[], None],
        trust: Trust | None = None,
    ) -> None:
        self.register = register
        self._trust = trust
        self.is_connected = False
        self._greeting = greeting
        self._received = received
        self._changed = changed
        self._state = FINE  # what was logged last
        self._cut_off = 0  # connections in a row
        self._link: Link | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Hang up, and begin no more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        link = self._link
        if link is None:
            return
        link.close()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            link.destroy()
            await self._ended.wait()

    async def _keep(self) -> None:
        while True:
            await self._connect()
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> None:
        """One connection, from its beginning to its end."""
        try:
            link: Link = await connect_link(
                Link, *split_place(self.register), CONNECT_SECONDS, self, LineReader(), trust=self._trust
            )
        except OSError as error:
            self._cut_off = 0
            self._report(LOST, reason_of(error))
            return
        if link.is_closed:
            self._report(LOST, "it hung up")
            return
        self._ended.clear()
        self._link = link
        self._timer = asyncio.get_running_loop().call_later(LASTING_SECONDS, self._lasts)
        link.watch()
        link.send(self._greeting)
        link.flush()
        self.is_connected = True
        self._changed()
        await self._keep_awake(link)

    async def _keep_awake(self, link: Link) -> None:
        """Wait for the connection's end."""
        while not link.is_closed:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._ended.wait()
            except TimeoutError:
                if not self.register.startswith("127.0.0.1"):
                    link.send(PING)

    # What the link calls

    def link_received(self, link: Link, lines: Sequence[bytes]) -> None:
        """Take lines."""
        for line in lines:
            try:
                message = parse_line(line)
            except ProtocolError:  # PHP's Register says in plain text why it hangs up
                self._refused(no_register(self.register, line))
                link.destroy()
                return
            if message["event"] == "ping":
                continue
            try:
                self._received(self.register, message)
            except ProtocolError as error:
                self._report(LOST, f"it sent {error}")
                link.destroy()
                return
            self._lasts()

    def link_drained(self, link: Link) -> None:
        """Nothing here waits for that."""

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """Note the end; the next connection is begun by the task."""
        if link is not self._link:
            return  # it ended before it was used
        self._link = None
        was_taken = self._timer is None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._note_end(error, was_taken or link.closing)
        self.is_connected = False
        self._ended.set()
        self._changed()

    # What is said of it

    def _lasts(self) -> None:
        """The Register has taken us."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._cut_off = 0
        if self._state != FINE:
            level = min(LEVELS[self._state], logging.WARNING)
            self._state = FINE
            logger.log(level, "Register %s is there again", self.register)

    def _note_end(self, error: Exception | None, was_taken: bool) -> None:
        """A connection has ended: that matters only where the next one can't be had."""
        if self._trust is not None and isinstance(error, ConnectionError) and not was_taken:
            error = None  # by TLS it may come to that before its reason does
        self._cut_off = 0 if was_taken or error is not None else self._cut_off + 1
        if error is not None:
            self._report(LOST, reason_of(error) if isinstance(error, OSError) else f"it sent {error}")
        elif self._cut_off >= REFUSALS:
            self._refused()
        else:
            self._report(AWAY, "it hung up")

    def _refused(self, what: str | None = None) -> None:
        cause = f"it refuses us, most likely because {cause_of_refusal(self._trust is not None)}, or it is no Register"
        self._report(REFUSED, what or cause)

    def _report(self, state: int, reason: str) -> None:
        """Log that there is no connection, once and not each second."""
        if state <= self._state:
            return
        self._state = state
        logger.log(
            LEVELS[state],
            "Register %s: %s. Trying again every %g s until it is there",
            self.register,
            reason,
            RETRY_SECONDS,
        )


async def stop_all(keepers: Sequence[Keeper]) -> None:
    """Stop several at the same time."""
    await asyncio.gather(*(keeper.stop() for keeper in keepers))

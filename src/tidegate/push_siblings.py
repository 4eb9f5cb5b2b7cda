"""The processes of a push server as each of them asks all, itself too: who took what was pushed.

A link to each, opened when there is something to push and kept. What a process answers counts; one that is not there
holds no browser either, and is asked again at the next push.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tidegate.client.answer_reader import AnswerReader
from tidegate.cluster.reasons import reason_of
from tidegate.cluster.trust import Trust
from tidegate.errors import ProtocolError
from tidegate.net.link import Link, connect_link
from tidegate.net.reactor import Reactor
from tidegate.net.throttle import Throttle
from tidegate.wire import php

__all__ = ["Siblings"]

logger = logging.getLogger("tidegate")

HERE = "127.0.0.1"
CONNECT_SECONDS = 3
ANSWER_SECONDS = 5
"""That a process has to answer; one that is stopped, say, takes no push for longer."""
QUEUE_LIMIT = 16 * 1024 * 1024
"""Bytes that may wait for a process that does not read; what is pushed to it beyond them is lost. A queue that is empty
takes one push of any size."""

Tell: TypeAlias = Callable[[int], None]
"""Is told how many connections took a push."""


class Siblings:
    """All processes.

    Args:
        ports: their inner ports.
        hello: bytes that come first on a link.
        trust: for TLS.
    """

    def __init__(self, ports: Sequence[int], hello: bytes, trust: Trust | None = None) -> None:
        self._throttle = Throttle(logger)
        self._siblings = [Sibling(port, hello, self._throttle, trust) for port in ports]
        self._reactor = Reactor.acquire()
        self._reactor.sweepers.append(self._sweep)

    @property
    def lost(self) -> int:
        """Pushes that a process did not take or did not answer."""
        return sum(sibling.lost for sibling in self._siblings)

    def tell(self, packet: bytes) -> None:
        """Send all a packet that has no answer."""
        for sibling in self._siblings:
            sibling.send(packet)

    def ask(self, packet: bytes) -> asyncio.Future[bool]:
        """Send all a packet; gives whether a connection took it, as soon as one did or all have answered."""
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        left = len(self._siblings)

        def tell(count: int) -> None:
            nonlocal left
            left -= 1
            if (count or not left) and not taken.done():
                taken.set_result(count > 0)

        for sibling in self._siblings:
            sibling.send(packet, tell)
        return taken

    def close(self) -> None:
        """Ask no more."""
        for sibling in self._siblings:
            sibling.close()
        self._reactor.sweepers.remove(self._sweep)
        self._reactor.release()

    def _sweep(self) -> None:
        self._throttle.flush()
        for sibling in self._siblings:
            sibling.sweep()


class Sibling:
    """One of them."""

    def __init__(self, port: int, hello: bytes, throttle: Throttle, trust: Trust | None) -> None:
        self._trust = trust
        self.lost = 0
        self._port = port
        self._hello = hello
        self._throttle = throttle
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: list[tuple[bytes, Tell | None]] = []  # until there is a link
        self._waiting_bytes = 0
        self._asked: deque[tuple[float, Tell]] = deque()  # when

    def send(self, packet: bytes, tell: Tell | None = None) -> None:
        """Send it a packet; `tell` is called with the number that it answers, 0 where it does not."""
        if self._link is not None:
            if self._link.is_full:
                self._lose(tell, "does not read")
            else:
                self._put(self._link, packet, tell)
            return
        if self._waiting and self._waiting_bytes + len(packet) > QUEUE_LIMIT:
            self._lose(tell, "does not accept connections")
            return
        self._waiting.append((packet, tell))
        self._waiting_bytes += len(packet)
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    def close(self) -> None:
        """Send nothing more."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.close()

    def sweep(self) -> None:
        """Once a second: give up a process that owes an answer."""
        if self._link is not None and self._asked and self._loop.time() - self._asked[0][0] > ANSWER_SECONDS:
            self._link.destroy()
            self.link_lost(self._link, ProtocolError(f"no answer within {ANSWER_SECONDS} s"))

    async def _connect(self) -> None:
        try:
            link = await connect_link(
                Link, HERE, self._port, CONNECT_SECONDS, self, AnswerReader(), QUEUE_LIMIT, trust=self._trust
            )
        except OSError as error:
            for _, tell in self._take_waiting():
                self._lose(tell, f"can't be reached: {reason_of(error)}")
            return
        finally:
            self._connecting = None
        self._link = link
        if self._hello:
            link.send(self._hello)
        for packet, tell in self._take_waiting():
            self._put(link, packet, tell)

    def _take_waiting(self) -> list[tuple[bytes, Tell | None]]:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return waiting

    def _put(self, link: Link, packet: bytes, tell: Tell | None) -> None:
        link.send(packet)
        if tell is not None:
            self._asked.append((self._loop.time(), tell))

    def _lose(self, tell: Tell | None, reason: str) -> None:
        self.lost += 1
        self._throttle.log(logging.WARNING, "a push is lost on the process at port %d: it %s", self._port, reason)
        if tell is not None:
            tell(0)

    # What the link calls

    def link_received(self, link: Link, answers: list[bytes]) -> None:
        for answer in answers:
            try:
                count = php.loads(answer)
            except php.PHPValueError:
                count = None
            if not isinstance(count, int) or not self._asked:
                link.destroy()
                self.link_lost(link, ProtocolError("an answer that is none"))
                return
            self._asked.popleft()[1](count)

    def link_drained(self, link: Link) -> None:
        """Its queue has room again, which the next push sees."""

    def link_lost(self, link: Link, error: Exception | None) -> None:
        if link is not self._link:
            return
        self._link = None
        reason = reason_of(error) if isinstance(error, OSError) else str(error or "it ends")
        while self._asked:
            self._lose(self._asked.popleft()[1], f"broke off: {reason}")

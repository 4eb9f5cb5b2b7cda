"""Queries to a gateway of PHP, which answers them on a connection of its own (wire protocol, "To a gateway").

What was sent on the worker's link before may arrive there later, so that such a query need not see it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence

from tidegate.client import failures
from tidegate.client.answer_reader import AnswerReader
from tidegate.cluster.place import split_place
from tidegate.cluster.trust import Trust
from tidegate.errors import ClusterError
from tidegate.net.link import Link, connect_link
from tidegate.wire import commands
from tidegate.wire.packet import pack

__all__ = ["Asking"]

CONNECT_SECONDS = 3
ANSWER_SECONDS = 5


class Asking:
    """A kept connection to one gateway; it is made when something is asked, and made again then."""

    def __init__(self, address: str, secret_key: str, trust: Trust | None) -> None:
        self._address = address
        self.trust = trust
        self._hello = b""
        if secret_key:
            body = json.dumps({"secret_key": secret_key}, separators=(",", ":")).encode()
            self._hello = pack(commands.GATEWAY_CLIENT_CONNECT, body=body)
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._asked: deque[asyncio.Future[bytes]] = deque()  # in the order of the answers

    async def ask(self, query: bytes) -> bytes:
        """Send a query; gives the serialized answer.

        Raises:
            ClusterError: there is none.
        """
        async with self._connecting:
            link = self._link or await self._connect()
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._asked.append(future)
            link.send(query)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError:
            link.destroy()  # what comes now would be taken for the answer to something else
            raise failures.not_answered(self._address, ANSWER_SECONDS) from None

    async def _connect(self) -> Link:
        try:
            link: Link = await connect_link(
                Link, *split_place(self._address), CONNECT_SECONDS, self, AnswerReader(), trust=self.trust
            )
        except OSError as error:
            raise failures.unreachable(self._address, error) from error
        if link.is_closed:
            raise failures.closed_early(self._address)
        self._link = link
        if self._hello:
            link.send(self._hello)
        return link

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.destroy()

    # What the link calls

    def link_received(self, link: Link, answers: Sequence[bytes]) -> None:
        """Take answers."""
        for answer in answers:
            if not self._asked:
                link.destroy()
                return
            future = self._asked.popleft()
            if not future.done():  # whoever asked may not wait any more
                future.set_result(answer)

    def link_drained(self, link: Link) -> None:
        """Nothing here waits for that."""

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """Tell those who wait."""
        if link is not self._link:
            return
        self._link = None
        asked, self._asked = self._asked, deque()
        problem = self._problem(error)
        for future in asked:
            if not future.done():
                future.set_exception(problem)

    def _problem(self, error: Exception | None) -> ClusterError:
        if isinstance(error, OSError):
            return failures.failed(self._address, error)
        return failures.out_of_step(self._address, error) if error else failures.closed_early(self._address)

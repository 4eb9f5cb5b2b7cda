"""Keeps a connection to one of the servers: made again when it ends, and ended when the server is silent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from tidegate.cluster.nats.auth import make_tls_context
from tidegate.cluster.nats.handshake import Handshake
from tidegate.cluster.nats.pool import Backoff, ServerPool
from tidegate.cluster.nats.protocol import PING, PONG, Event, Info, Message, Parser, Refusal
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.cluster.reasons import reason_of
from tidegate.errors import ClusterError, ClusterTimeoutError, ConfigurationError
from tidegate.net.link import Link, connect_link

__all__ = ["Connector", "ConnectorOwner", "NatsLink", "explain"]

logger = logging.getLogger("tidegate")

CONNECT_SECONDS = 2.0
"""For a connection, and again for what has to be said before it can be used."""
TICK_SECONDS = 0.5
"""A server that said nothing since the last tick is asked whether it is there."""
GONE_TICKS = 4
"""In a row with nothing said, and the server counts as gone."""
OWNER_TICKS = 3
"""Until the owner has its turn."""
LEAVE_SECONDS = 1.0
"""For what was written to leave at the end."""
MAX_REPORTED = 16
"""Reasons that are logged until there is a connection again."""


class NatsLink(Link):
    """A connection to a server, which can become secure once both sides have spoken."""

    __slots__ = ()

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands for TLS.

        Args:
            name: that the certificate must have.

        Raises:
            OSError: it failed; ssl.SSLError is one.
        """
        assert self._transport is not None
        self._socket = None  # it must not be written to past the transport any more
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_hostname=name, ssl_handshake_timeout=CONNECT_SECONDS
            )
        except BaseException:
            self.destroy()
            self._finish(None)  # not every loop says so
            raise
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1, low=0)  # with 0 asyncio's would take an empty one for full


class ConnectorOwner(Protocol):
    """Whose connection it is."""

    def nats_subscriptions(self) -> list[bytes]:
        """What is to be said first on a new connection."""

    def nats_up(self, link: NatsLink, info: Info) -> None:
        """There is one, on which the subscriptions stand."""

    def nats_down(self) -> None:
        """It is lost."""

    def nats_received(self, events: list[Message | Refusal]) -> None:
        """Messages came, and what the server says is wrong, in their order."""

    def nats_mark(self) -> int:
        """How much was published until now."""

    def nats_confirmed(self, mark: int) -> None:
        """The server has taken so much."""

    def nats_drained(self) -> None:
        """What waited to leave is less than half of the limit again."""

    def nats_tick(self) -> None:
        """Now and then."""


class Connector:
    """Connects, and connects again, from `start` to `stop`.

    Attributes:
        link: once it may be written to, which is some time before the owner is told that it is connected.
        info: what the server said of itself last.
        server: that it is connected to, or was.
        problem: why there is no connection, in words; empty while there is one.
        has_moved: whether the connection is there in place of one that was lost, and was to be had at once.
    """

    def __init__(self, place: NatsPlace, name: str, limit: int, owner: ConnectorOwner) -> None:
        self.link: NatsLink | None = None
        self.info: Info | None = None
        self.server: Server | None = None
        self.problem = f"not connected yet to {place}"
        self.is_connected = self.has_moved = self._was_connected = False
        self.pool = ServerPool(place)
        self._place = place
        self._name = name
        self._limit = limit
        self._owner = owner
        self._backoff = Backoff()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: Handshake | None = None
        self._greeted: NatsLink | None = None  # with which the handshake is
        self._parser = Parser()
        self._progress: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._is_silent = False
        self._ended = asyncio.Event()
        self._heard = False
        self._quiet = 0  # ticks with nothing said
        self._ticks = 0
        self._failed_rounds = 0  # since there was a connection
        self._pings: deque[tuple[int, Callable[[bool], None] | None]] = deque()  # marks, and who is told
        self._reported: set[str] = set()  # since there was a connection

    def start(self) -> None:
        """Begin, in the running loop."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._keep())
        self._timer = loop.call_later(TICK_SECONDS, self._tick)

    async def stop(self) -> None:
        """Send what waits, hang up, and begin no more."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        link = self.link
        if link is not None:
            link.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._ended.wait()
            link.destroy()
        task.cancel()
        await asyncio.wait({task})

    def ping(self, done: Callable[[bool], None] | None) -> None:
        """Ask the server whether it has taken all that was sent before.

        Args:
            done: is called with whether it has, or the connection is lost.
        """
        assert self.link is not None
        self._pings.append((self._owner.nats_mark(), done))
        self.link.send(PING)

    async def _keep(self) -> None:
        while True:
            self.pool.begin(self.server)
            while (server := self.pool.next()) is not None:
                if await self._connect(server):
                    self._failed_rounds = 0
                    self.pool.begin(server)  # what was lost comes last
            self._failed_rounds += 1
            await asyncio.sleep(self._backoff.seconds())

    async def _connect(self, server: Server) -> bool:
        """One connection, from its beginning to its end; gives whether it could be used."""
        self._handshake = Handshake(self._place, server, self._name)
        self._parser = Parser()
        self._failure = None
        self._ended.clear()
        try:
            self._greeted = await connect_link(
                NatsLink, server.host, server.port, CONNECT_SECONDS, self, self._parser, limit=self._limit
            )
            await self._greet_in_time(cast("NatsLink", self._greeted), server, self._handshake)
        except (OSError, ConfigurationError) as error:  # ClusterError is an OSError
            self._note(explain(server, error))
            return False
        finally:
            # Also where it was cancelled: only a connection that can be used stays.
            self._handshake = None
            link, self._greeted = self._greeted, None
            if link is not None and link is not self.link:
                link.destroy()
        await self._ended.wait()
        return True

    async def _greet_in_time(self, link: NatsLink, server: Server, handshake: Handshake) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._greet(link, server)
        except TimeoutError:
            raise ClusterTimeoutError(handshake.missing) from None

    async def _greet(self, link: NatsLink, server: Server) -> None:
        handshake = await self._step(link, server)
        if handshake.wants_tls:
            if self._parser.is_amid:  # it was said in the clear, and would count as said in secret
                raise ClusterError(f"NATS server {server} spoke out of turn: what listens there is none")
            await link.secure(make_tls_context(self._place.files), server.tls_name)
            link.send(handshake.secured())
            handshake = await self._step(link, server)
        self.server, self.info = server, handshake.info
        self._learn()
        self._begin(link)

    async def _step(self, link: NatsLink, server: Server) -> Handshake:
        """Wait for the handshake to need something or to be done."""
        handshake = self._handshake
        assert handshake is not None
        while self._failure is None and not link.is_closed and not handshake.is_done and not handshake.wants_tls:
            self._progress = asyncio.get_running_loop().create_future()
            await self._progress
        if self._failure is not None:
            raise self._failure
        if self._parser.error is not None:
            raise ClusterError(f"NATS server {server} sent {self._parser.error}: what listens there is none")
        if link.is_closed:
            raise ClusterError(f"NATS server {server} hung up at once")
        return handshake

    def _shake(self, link: NatsLink, events: list[Event]) -> None:
        handshake = self._handshake
        if handshake is None or self._failure is not None:
            return
        try:
            for event in events:
                answer = handshake.take(event)
                if answer:
                    link.send(answer)
        except (ClusterError, ConfigurationError) as error:
            self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._progress is not None and not self._progress.done():
            self._progress.set_result(None)

    def _learn(self) -> None:
        if self.info is not None and self.server is not None:
            self.pool.learn(self.info.connect_urls, self.server)

    def _begin(self, link: NatsLink) -> None:
        """The server has taken us: have the subscriptions stand."""
        self.link = link
        self._heard, self._quiet, self._is_silent = True, 0, False
        for line in self._owner.nats_subscriptions():
            link.send(line)
        self.ping(self._restored)

    def _restored(self, is_there: bool) -> None:
        if not is_there:
            return
        assert self.link is not None
        assert self.info is not None
        self._backoff.reset()
        self.has_moved = self._was_connected and not self._failed_rounds
        self.is_connected = self._was_connected = True
        self.problem = ""
        if self._reported:
            self._reported.clear()
            logger.warning("NATS is there again: connected to %s", self.server)
        self._owner.nats_up(self.link, self.info)

    # What the link calls

    def link_received(self, link: NatsLink, events: list[Event]) -> None:
        """Take what came in one read."""
        self._heard = True
        if link is not self.link:
            self._shake(link, events)
            return
        kept: list[Message | Refusal] = []
        for event in events:
            if type(event) is Message or type(event) is Refusal:
                kept.append(event)
            elif type(event) is Info:
                self.info = event
                self._learn()
            elif event[0] == "PING":
                link.send(PONG)
            elif event[0] == "PONG" and self._pings:
                # Whoever waits for it goes on in a turn of its own, when what came before was taken.
                mark, done = self._pings.popleft()
                self._owner.nats_confirmed(mark)
                if done is not None:
                    done(True)
        if kept:
            self._owner.nats_received(kept)

    def link_drained(self, link: NatsLink) -> None:
        """Tell the owner."""
        if link is self.link:
            self._owner.nats_drained()

    def link_lost(self, link: NatsLink, error: Exception | None) -> None:
        """Note the end; the next connection is begun by the task."""
        if link is not self.link:
            self._wake()
            return
        self.link = None
        if self._is_silent:
            reason = f"it was silent for {GONE_TICKS * TICK_SECONDS:g} s"
        elif error is None:
            reason = "it hung up"
        else:
            reason = reason_of(error) if isinstance(error, OSError) else f"it sent {error}"
        pings, self._pings = self._pings, deque()
        was_connected, self.is_connected = self.is_connected, False
        if self._task is not None:
            self._note(f"the connection to NATS server {self.server} broke: {reason}")
        self._ended.set()
        if was_connected:
            self._owner.nats_down()
        for _, done in pings:
            if done is not None:
                done(False)

    # What goes on meanwhile

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        link = self.link
        if link is not None:
            self._quiet = 0 if self._heard else self._quiet + 1
            self._heard = False
            if self._quiet == GONE_TICKS:
                self._is_silent = True
                link.destroy()
            elif self._quiet == 1:
                self.ping(None)
        self._ticks += 1
        if self._ticks % OWNER_TICKS == 0:
            self._owner.nats_tick()

    def _note(self, problem: str) -> None:
        """Remember why there is no connection, and log it, each reason once."""
        self.problem = problem
        if problem not in self._reported and len(self._reported) < MAX_REPORTED:
            self._reported.add(problem)
            logger.warning("%s. Trying again until one is there", problem)


def explain(server: Server, error: Exception) -> str:
    """Why a server can't be used."""
    if isinstance(error, ClusterError | ConfigurationError):
        return str(error)
    if isinstance(error, ssl.SSLError):
        return f"NATS server {server}: TLS failed: {getattr(error, 'verify_message', '') or error.reason or error}"
    assert isinstance(error, OSError)
    return f"NATS server {server} can't be reached: {reason_of(error)}"

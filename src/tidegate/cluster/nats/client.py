"""A client of NATS on asyncio: one connection, one callback for all that comes, in the order in which it came.

What is published leaves in one write at the end of the loop's turn. The connection is made again whenever it is lost,
and the subscriptions stand on the new one before anybody is told that it is there.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tidegate.cluster.nats.asking import ask_all
from tidegate.cluster.nats.connector import Connector, NatsLink
from tidegate.cluster.nats.counters import Counters
from tidegate.cluster.nats.inbox import Enough, Inbox, Question
from tidegate.cluster.nats.outgoing import Outgoing
from tidegate.cluster.nats.parts import PART, Joiner
from tidegate.cluster.nats.protocol import Info, Message, Refusal, encode_subscribe, encode_unsubscribe
from tidegate.cluster.nats.subjects import Subjects
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["DEFAULT_LIMIT", "NatsClient"]

logger = logging.getLogger("tidegate")

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Bytes that may wait to leave, before nothing more is taken."""
DEFAULT_SECONDS = 5.0
"""For an answer."""


class NatsClient:
    """One for a process, in one loop, from `start` to `stop`.

    Args:
        place: of the cluster.
        on_messages: is called with what came for the subscriptions that have no handler of their own, all of one read
            together and in its order.
        name: of this process, as NATS shows it to who operates it.
        on_state: is called with True when there is a connection, on which the subscriptions stand, and with False
            when it is lost.
        limit: bytes that may wait to leave; over it nothing is taken for publishing.
        hold_seconds: for which, while there is no connection, what is published is kept, to leave when it is there; at
            most ``limit`` bytes. With 0 it is refused.

    Attributes:
        id: of this client, which no other one has.
        subjects: of the cluster.
        counters: of what it did.
    """

    def __init__(
        self,
        place: NatsPlace,
        on_messages: Callable[[list[Message]], None],
        *,
        name: str = "tidegate",
        on_state: Callable[[bool], None] | None = None,
        limit: int = DEFAULT_LIMIT,
        hold_seconds: float = 0,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.subjects = Subjects(place.namespace, place.js_domain)
        self.counters = Counters()
        self._take = on_messages
        self._tell = on_state
        self._connector = Connector(place, name, limit, self)
        self._outgoing = Outgoing(self.id, limit, hold_seconds, self.counters)
        self._sids = itertools.count(1)
        self._subscriptions: dict[int, tuple[str, Callable[[Message], None] | None]] = {}
        self._joiner = Joiner()
        self._inbox = Inbox(self.subjects.inbox(self.id))
        self._inbox_sid = 0
        self._changed: asyncio.Future[None] | None = None  # for those who wait for a connection, or for room

    # The connection

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and all subscriptions stand on it."""
        return self._outgoing.link is not None

    @property
    def info(self) -> Info | None:
        """What the server says of itself; None before the first connection."""
        return self._connector.info

    @property
    def server(self) -> str:
        """``host:port`` of the server that it is connected to, or was last."""
        return str(self._connector.server or "")

    @property
    def others(self) -> tuple[Server, ...]:
        """The servers of its cluster, as far as it knows them, besides that one."""
        return tuple(each for each in self._connector.pool.servers if each != self._connector.server)

    @property
    def problem(self) -> str:
        """Why there is no connection; empty while there is one."""
        return self._connector.problem

    @property
    def has_moved(self) -> bool:
        """Whether the connection was lost and made again at once, as where another server of the cluster is there."""
        return self._connector.has_moved

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken for publishing; `drained` waits for the end of that."""
        return self._outgoing.is_full

    def start(self) -> None:
        """Begin to connect, in the running loop, and go on for as long as it takes."""
        self._connector.start()

    async def connected(self, seconds: float) -> None:
        """Wait for a connection.

        Raises:
            ClusterTimeoutError: there is none in so many seconds; it says why.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self.is_connected:
                    await self._change()
        except TimeoutError:
            raise ClusterTimeoutError(f"no NATS server within {seconds:g} s: {self.problem}") from None

    async def drained(self) -> None:
        """Wait while nothing more is taken for publishing."""
        while self.is_full:
            await self._change()

    async def stop(self) -> None:
        """Send what waits, and hang up; questions that are open fail."""
        await self._connector.stop()
        self._outgoing.end("the client was stopped")
        self._inbox.fail(ClusterError("the connection to NATS was closed"))
        self._wake()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    # Publishing

    def publish(
        self, subject: str, payload: bytes, reply: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish a message; it leaves at the end of this turn.

        Raises:
            ClusterError: there is no connection, or too much waits to leave. Nothing of it was or will be sent.
            ValueError: the payload is longer than the server takes (`publish_parts` splits it), or the subject is none.
        """
        self._outgoing.publish(subject, payload, reply, headers)

    def publish_parts(self, subject: str, payload: bytes, reply: str | None = None) -> None:
        """Publish a message of any size; what is longer than the server takes leaves in parts, and arrives as one.

        Raises:
            ClusterError: as `publish`.
            ValueError: it is longer than can be joined, or the subject is none.
        """
        self._outgoing.publish_parts(((subject, payload),), reply)

    def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish several messages in a row, with none of others between them, as `publish_parts` does each.

        Raises:
            ClusterError: as `publish`, of all of them.
            ValueError: one is longer than can be joined, or a subject is none; nothing was sent.
        """
        self._outgoing.publish_parts(messages, None)

    # Subscribing

    def subscribe(self, subject: str, handler: Callable[[Message], None] | None = None) -> int:
        """Take what is published to a subject, or to all that a pattern covers; `flush` waits for it to stand.

        While there is no connection it is noted, for the next one.

        Args:
            handler: is called with each message, instead of `on_messages`.

        Returns:
            Its number, for `unsubscribe`.

        Raises:
            ValueError: it is no subject.
        """
        sid = next(self._sids)
        line = encode_subscribe(subject, sid)
        self._subscriptions[sid] = (subject, handler)
        if self._connector.link is not None:
            self._connector.link.send(line)
        return sid

    def unsubscribe(self, sid: int) -> None:
        """Take it no more, from now on; nothing happens where it was given up already."""
        if self._subscriptions.pop(sid, None) is not None and self._connector.link is not None:
            self._connector.link.send(encode_unsubscribe(sid))

    async def flush(self, seconds: float = DEFAULT_SECONDS) -> None:
        """Return when the server has taken all that was published before, and subscriptions made before stand there.

        Raises:
            ClusterError: there is no connection, or one broke since the last flush on which something had been
                published that the server had not confirmed.
            ClusterTimeoutError: the server did not answer.
        """
        self._outgoing.raise_break()
        if not self.is_connected:
            raise ClusterError(f"NATS can't be flushed: {self.problem}")
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._connector.ping(lambda is_there: None if done.done() else done.set_result(is_there))
        try:
            async with asyncio.timeout(seconds):
                is_there = await done
        except TimeoutError:
            raise ClusterTimeoutError(f"NATS server {self.server} did not answer within {seconds:g} s") from None
        if not is_there:
            self._outgoing.raise_break()
            raise ClusterError(f"NATS could not be flushed: {self.problem}")

    # Asking

    async def request(
        self, subject: str, payload: bytes, seconds: float = DEFAULT_SECONDS, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Ask whoever listens to a subject, and give the first answer; with headers it has to fit into one part.

        Raises:
            ClusterError: nobody listens, or there is no connection, or it broke.
            ClusterTimeoutError: no answer came.
        """
        (question,) = await self._ask([(subject, payload, None)], seconds, headers)
        if question.error is not None:
            raise question.error
        return question.answers[0]

    async def gather(
        self, requests: Iterable[tuple[str, bytes]], seconds: float = DEFAULT_SECONDS, *, is_repeated: bool = False
    ) -> list[Message | ClusterError]:
        """Ask several at once, within one time limit.

        Args:
            requests: subjects and payloads.
            is_repeated: whether what is not answered in a third of the time, and may be lost, is asked once more.

        Returns:
            For each, in their order, the answer or the error that tells why there is none.
        """
        questions = await self._ask([(*request, None) for request in requests], seconds, is_repeated=is_repeated)
        return [question.outcome() for question in questions]

    async def collect(
        self, questions: Sequence[tuple[str, bytes, Enough]], seconds: float = DEFAULT_SECONDS
    ) -> list[ClusterError | None]:
        """Ask questions with perhaps several answers, at once and within one time limit.

        Args:
            questions: subjects and payloads, and what is called with each answer, and tells whether it is the last.

        Returns:
            For each why there was no last answer.
        """
        return [question.error for question in await self._ask(questions, seconds)]

    def ask(self, subject: str, payload: bytes, done: Callable[[Question], None]) -> Question:
        """Ask without waiting, in as many parts as it takes; `forget` is to be called in the end.

        Args:
            done: is called once, when the answer has come, or is known not to come.

        Raises:
            ClusterError: as `publish`.
        """
        question = self._inbox.ask(subject, None, lambda: done(question))
        try:
            self._listen_for_answers()
            self.publish_parts(subject, payload, question.reply)
        except BaseException:
            self._inbox.forget(question)
            raise
        return question

    def forget(self, question: Question) -> None:
        """Take no more answers to it."""
        self._inbox.forget(question)

    def abandon(self, subject: str) -> None:
        """Nobody listens to it any more: questions to it fail now, and not only when their time is over."""
        self._inbox.abandon(subject)

    def _listen_for_answers(self) -> None:
        if not self._inbox_sid:
            self._inbox_sid = self.subscribe(self._inbox.pattern, self._inbox.take)

    async def _ask(
        self,
        asked: Sequence[tuple[str, bytes, Enough | None]],
        seconds: float,
        headers: Mapping[str, str] | None = None,
        is_repeated: bool = False,
    ) -> list[Question]:
        self._listen_for_answers()
        publish = self.publish_parts if headers is None else functools.partial(self.publish, headers=headers)
        return await ask_all(self._inbox, publish, asked, seconds, is_repeated)

    # What the connector calls

    def nats_subscriptions(self) -> list[bytes]:
        """Those that are to stand on a new connection."""
        return [encode_subscribe(subject, sid) for sid, (subject, _) in self._subscriptions.items()]

    def nats_up(self, link: NatsLink, info: Info) -> None:
        """It may be published to."""
        self.counters.connections += 1
        self._outgoing.begin(link, info.max_payload)
        self._wake()
        self._tell_state(True)

    def nats_down(self) -> None:
        """It may not be published to."""
        self._outgoing.end(self.problem)
        self._inbox.fail(ClusterError(f"an answer over NATS won't come: {self.problem}"))
        self._tell_state(False)

    def nats_received(self, events: list[Message | Refusal]) -> None:
        """Give messages to whom they are for."""
        batch: list[Message] = []
        subscriptions = self._subscriptions
        for event in events:
            if type(event) is Refusal:
                self.counters.refuse(event.text)
                logger.error("NATS server %s says: %s", self.server, event.text)
                continue
            assert type(event) is Message
            found = subscriptions.get(event.sid)
            if found is None:
                self.counters.late += 1
                continue
            message = event
            if event.headers is not None and PART in event.headers.fields:
                joined = self._joiner.take(event, time.monotonic())
                if joined is None:
                    continue
                message = joined
            if found[1] is None:
                batch.append(message)
            else:
                self._call(found[1], message)
        self.counters.received += len(events)
        if batch:
            self._call(self._take, batch)

    def nats_mark(self) -> int:
        """How much was published."""
        return self.counters.published

    def nats_confirmed(self, mark: int) -> None:
        """So much has arrived."""
        self._outgoing.confirm(mark)

    def nats_drained(self) -> None:
        """There is room again."""
        self._wake()

    def nats_tick(self) -> None:
        """Give up what took too long, and have the server confirm what it was sent."""
        self._joiner.sweep(time.monotonic())
        self._outgoing.expire()
        self.counters.incomplete = self._joiner.dropped
        if self.is_connected and not self._outgoing.is_confirmed:
            self._connector.ping(None)

    def _tell_state(self, is_connected: bool) -> None:
        if self._tell is not None:
            self._call(self._tell, is_connected)

    def _call(self, function: Callable[[Any], None], value: object) -> None:
        try:
            function(value)
        except Exception:
            logger.exception("what came over NATS could not be taken")

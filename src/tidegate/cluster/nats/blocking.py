"""A client of NATS for programs that block: any number of threads on one connection, and after a fork a new one.

It has no thread of its own: whoever waits for an answer reads, for all who wait, and on the way answers the server's
questions whether it is there. A connection on which nothing was said for a while is opened anew at its next use; one
that broke meanwhile is noticed then.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from tidegate.cluster.nats.counters import Counters
from tidegate.cluster.nats.inbox import AGAIN, Enough, Question
from tidegate.cluster.nats.lookup import Ask, Errors, Found, look_up
from tidegate.cluster.nats.protocol import Info, Message, encode_publish
from tidegate.cluster.nats.session import Pong, Session
from tidegate.cluster.nats.subjects import Subjects
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.errors import ClusterError

__all__ = ["BlockingNatsClient"]

GONE_SECONDS = 0.5
"""Of waiting for answers, until it is looked whether they can still come."""


class BlockingNatsClient:
    """Made once and kept. It connects when it is used.

    Args:
        place: of the cluster.
        name: of this program, as NATS shows it to who operates it.
        connect_timeout: seconds for a server to take the client; those that are tried share them.
        timeout: seconds for it to take what is published, and for an answer.

    Attributes:
        subjects: of the cluster.
        counters: of what it did, in this process and in those it was forked from.
    """

    def __init__(
        self, place: NatsPlace, *, name: str = "tidegate", connect_timeout: float = 3, timeout: float = 5
    ) -> None:
        self.subjects = Subjects(place.namespace, place.js_domain)
        self.counters = Counters()
        self._place = place
        self._name = name
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._sessions: dict[int, Session] = {}
        self._is_closed = False

    def __enter__(self) -> BlockingNatsClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; what was published still leaves. The client can't be used any more."""
        self._is_closed = True
        session = self._sessions.pop(os.getpid(), None)
        if session is not None:
            with session.lock:
                session.link = None

    @property
    def info(self) -> Info | None:
        """What the server says of itself; None without a connection."""
        link = self._now().link
        return link.info if link is not None else None

    @property
    def others(self) -> tuple[Server, ...]:
        """The servers of its cluster, as far as it knows them, besides the one that it is connected to."""
        return self._now().others

    def publish(
        self, subject: str, payload: bytes, reply: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publish a message; when this returns the system has taken it, and `flush` tells whether the server has.

        Raises:
            ClusterError: no server can be reached, or it takes nothing.
            ValueError: the payload is longer than the server takes (`publish_parts` splits it), or the subject is none.
        """

        def lines(limit: int) -> list[bytes]:
            if len(payload) > limit:
                raise ValueError(f"a payload of {len(payload)} bytes for {subject}: NATS takes {limit}")
            return [encode_publish(subject, payload, reply, headers)]

        self._now().publish(lines, self._timeout)

    def publish_parts(self, subject: str, payload: bytes, reply: str | None = None) -> None:
        """Publish a message of any size; what is longer than the server takes leaves in parts, and arrives as one.

        Raises:
            ClusterError: as `publish`.
            ValueError: it is longer than can be joined, or the subject is none.
        """
        session = self._now()
        session.publish(lambda limit: session.split(limit, subject, payload, reply), self._timeout)

    def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Publish several messages in a row, with none of others between them, as `publish_parts` does each.

        Raises:
            ClusterError: as `publish`, of all of them.
            ValueError: one is longer than can be joined, or a subject is none; nothing was sent.
        """
        session = self._now()

        def lines(limit: int) -> list[bytes]:
            return [line for subject, payload in messages for line in session.split(limit, subject, payload, None)]

        session.publish(lines, self._timeout)

    def connect(self) -> int:
        """See that there is a connection; gives its number, among those that this process has made.

        Raises:
            ClusterError: no server can be reached.
        """
        return self._now().connect()

    @property
    def lost_at(self) -> float:
        """Until when the last connection that broke was heard of, by `time.monotonic`."""
        return self._now().lost_at

    def flush(self) -> None:
        """Return when the server has taken all that was published before, by all threads.

        Raises:
            ClusterError: a connection broke since the calling thread flushed last, on which something had been
                published that the server had not confirmed; or there is none to be had.
            ClusterTimeoutError: the server did not answer.
        """
        session = self._now()
        link = session.link
        try:
            pong = session.ping()
        except ClusterError as error:
            pong = Pong(0)
            pong.error, pong.is_done = error, True
        if pong is not None and not session.wait(lambda: pong.is_done, self._timeout):
            session.give_up(link, f"it did not answer within {self._timeout:g} s")
        if session.told.breaks != session.breaks:
            session.told.breaks = session.breaks
            raise ClusterError("a connection to NATS broke since the last flush: what was published may be lost")
        if pong is not None and pong.error is not None:
            raise pong.error

    def request(self, subject: str, payload: bytes) -> Message:
        """Ask whoever listens to a subject, and give the first answer.

        Raises:
            ClusterError: nobody listens, or no server can be reached, or the connection broke.
            ClusterTimeoutError: no answer came.
        """
        (outcome,) = self.gather([(subject, payload)])
        if isinstance(outcome, ClusterError):
            raise outcome
        return outcome

    def gather(
        self,
        requests: Iterable[tuple[str, bytes]],
        seconds: float | None = None,
        gone: Callable[[Sequence[str]], Iterable[str]] | None = None,
        *,
        is_repeated: bool = False,
    ) -> list[Message | ClusterError]:
        """Ask several at once, within one time limit.

        Args:
            requests: subjects and payloads.
            seconds: for the answers; ``timeout`` unless given.
            gone: is called with the subjects from which no answer has come, now and then; gives those to which nobody
                listens any more.
            is_repeated: whether what is not answered in a third of the time, and may be lost, is asked once more.

        Returns:
            For each, in their order, the answer or the error that tells why there is none.

        Raises:
            ClusterError: no server can be reached.
        """
        asked = [(subject, payload, None) for subject, payload in requests]
        questions = self._ask(asked, seconds or self._timeout, gone, is_repeated)
        return [question.outcome() for question in questions]

    def collect(
        self, questions: Sequence[tuple[str, bytes, Enough]], seconds: float | None = None
    ) -> list[ClusterError | None]:
        """Ask questions to which there may be several answers, at once and within one time limit.

        Args:
            questions: subjects and payloads, and what is called with each answer, in any thread that waits, and tells
                whether it is the last.
            seconds: for the answers; ``timeout`` unless given.

        Returns:
            For each, in their order, why there was no last answer.

        Raises:
            ClusterError: no server can be reached.
        """
        return [question.error for question in self._ask(questions, seconds or self._timeout)]

    def ask(self, subject: str, payload: bytes, done: Callable[[Question], None]) -> Question:
        """Ask without waiting, in as many parts as it takes; `forget` is to be called in the end.

        Args:
            done: is called once, when the answer was read by any thread that uses the client, or is known not to come.

        Raises:
            ClusterError: no server can be reached, or it takes nothing.
        """
        session = self._now()
        question: Question | None = None

        def finished() -> None:
            assert question is not None
            done(question)

        def lines(limit: int) -> list[bytes]:
            nonlocal question
            question = session.inbox.ask(subject, None, finished)
            return session.split(limit, subject, payload, question.reply)

        try:
            session.publish(lines, self._timeout)
        except BaseException:
            if question is not None:
                self.forget(question)
            raise
        assert question is not None
        return question

    def forget(self, question: Question) -> None:
        """Take no more answers to it."""
        session = self._now()
        with session.lock:
            session.inbox.forget(question)

    def look_up(self, bucket: str, pattern: str = ">", floor: int | None = None) -> Found:
        """All entries of a key-value bucket whose keys a pattern covers, as `lookup.look_up` has them.

        Raises:
            ConfigurationError: JetStream is not enabled.
            ClusterError: it could not be asked, or has no such bucket.
        """
        steps = look_up(self.subjects, bucket, pattern, floor)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._carry_out(step))
        except StopIteration as stop:
            found: Found = stop.value
            return found

    def _carry_out(self, step: Ask | float) -> Errors:
        if isinstance(step, Ask):
            return self.collect(step.questions, step.seconds)
        time.sleep(step)
        return ()

    def _ask(
        self,
        asked: Sequence[tuple[str, bytes, Enough | None]],
        seconds: float,
        gone: Callable[[Sequence[str]], Iterable[str]] | None = None,
        is_repeated: bool = False,
    ) -> list[Question]:
        session = self._now()
        began = time.monotonic()
        deadline = began + seconds
        questions: list[Question] = []

        def first_lines(limit: int) -> list[bytes]:
            questions[:] = [session.inbox.ask(subject, enough) for subject, _, enough in asked]
            return lines(limit)

        def lines(limit: int) -> list[bytes]:
            return [
                line
                for (subject, payload, _), question in zip(asked, questions, strict=True)
                if not question.is_done
                for line in session.split(limit, subject, payload, question.reply)
            ]

        try:
            session.publish(first_lines, self._timeout)
            while (left := deadline - time.monotonic()) > 0:
                if session.wait(lambda: all(question.is_done for question in questions), min(left, GONE_SECONDS)):
                    break
                if is_repeated and time.monotonic() - began >= seconds * AGAIN:
                    is_repeated = False
                    with contextlib.suppress(ClusterError):  # the first may be answered still
                        session.publish(lines, self._timeout)
                if gone is not None:
                    for subject in gone([question.subject for question in questions if not question.is_done]):
                        session.abandon(subject)
            with session.lock:
                for question in questions:
                    question.time_out(seconds)
        finally:
            with session.lock:
                for question in questions:
                    session.inbox.forget(question)
        return questions

    def _now(self) -> Session:
        """What this process has: a child never touches its parent's sockets, but for closing its copies."""
        if self._is_closed:
            raise RuntimeError("this client of NATS is closed: make a new one")
        pid = os.getpid()
        session = self._sessions.get(pid)
        if session is None:
            made = Session(self._place, self._name, self._connect_timeout, self.counters)
            session = self._sessions.setdefault(pid, made)
            for other in list(self._sessions):
                if other != pid:
                    self._sessions.pop(other, None)
        if not hasattr(session.told, "breaks"):
            session.told.breaks = session.breaks
        return session

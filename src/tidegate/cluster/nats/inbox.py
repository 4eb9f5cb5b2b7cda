"""Questions and their answers, many on one subscription, without I/O."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["AGAIN", "Enough", "Inbox", "NobodyListensError", "Question"]

MAX_QUESTIONS = 100_000
NOBODY_LISTENS = 503
AGAIN = 1 / 3
"""Of the time for an answer, after which what may be asked twice is asked once more: the question may be lost."""

Enough: TypeAlias = Callable[[Message], bool]
"""Tells of each answer whether it is the last."""


class NobodyListensError(ClusterError):
    """The server says so at once."""


class Question:
    """One that was asked.

    Attributes:
        reply: the subject of its answers.
        answers: in the order in which they came.
        error: why there will be no more.
    """

    __slots__ = ("_done", "_enough", "answers", "error", "is_done", "reply", "subject")

    def __init__(self, subject: str, reply: str, enough: Enough | None, done: Callable[[], None] | None) -> None:
        self.subject = subject
        self.reply = reply
        self.answers: list[Message] = []
        self.error: ClusterError | None = None
        self.is_done = False
        self._enough = enough
        self._done = done

    def take(self, message: Message) -> None:
        """Take an answer; what comes when it is done is not looked at."""
        if self.is_done:
            return
        headers = message.headers
        if headers is not None and headers.status == NOBODY_LISTENS and not message.payload:
            self.fail(NobodyListensError(f"nobody listens to {self.subject} on NATS"))
            return
        self.answers.append(message)
        if self._enough is None or self._enough(message):
            self._finish()

    def fail(self, error: ClusterError) -> None:
        """There will be no more answers."""
        if not self.is_done:
            self.error = error
            self._finish()

    def time_out(self, seconds: float) -> None:
        """The time for it is over."""
        self.fail(ClusterTimeoutError(f"{self.subject}: no answer over NATS within {seconds:g} s"))

    def outcome(self) -> Message | ClusterError:
        """Of one with one answer, once it is done: the answer, or why there is none."""
        return self.error if self.error is not None else self.answers[0]

    def _finish(self) -> None:
        self.is_done = True
        if self._done is not None:
            self._done()


class Inbox:
    """The questions of one client.

    Args:
        prefix: of the subjects for answers.

    Attributes:
        pattern: what the client subscribes to.
        late: answers that came when nobody waited for them.
    """

    __slots__ = ("_numbers", "_open", "_prefix", "late", "pattern")

    def __init__(self, prefix: str) -> None:
        self.pattern = f"{prefix}.>"
        self.late = 0
        self._prefix = f"{prefix}."
        self._numbers = itertools.count(1)
        self._open: dict[str, Question] = {}

    def ask(self, subject: str, enough: Enough | None = None, done: Callable[[], None] | None = None) -> Question:
        """Make a question, which is to be published with its `reply`, and then forgotten.

        Args:
            enough: tells which answer is the last; without it the first is.
            done: is called then.

        Raises:
            ClusterError: too many are open.
        """
        if len(self._open) >= MAX_QUESTIONS:
            raise ClusterError(f"{MAX_QUESTIONS} questions wait for answers over NATS: no more are asked meanwhile")
        reply = f"{self._prefix}{next(self._numbers)}"
        question = self._open[reply] = Question(subject, reply, enough, done)
        return question

    def take(self, message: Message) -> None:
        """Take what came on the subscription."""
        question = self._open.get(message.subject)
        if question is None:
            self.late += 1
            return
        question.take(message)

    def forget(self, question: Question) -> None:
        """Nobody waits for it any more."""
        self._open.pop(question.reply, None)

    def abandon(self, subject: str) -> None:
        """Nobody listens to a subject any more: questions to it are not answered."""
        for question in [each for each in self._open.values() if each.subject == subject]:
            question.fail(NobodyListensError(f"nobody listens to {subject} on NATS any more"))

    def fail(self, error: ClusterError) -> None:
        """The connection on which they were asked is gone."""
        for question in tuple(self._open.values()):
            question.fail(type(error)(str(error)))

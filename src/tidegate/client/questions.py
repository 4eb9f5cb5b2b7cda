"""Who waits for answers on one connection: they come in the order asked (wire protocol, "To a gateway")."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

from tidegate.client.answer_reader import AnswerReader

__all__ = ["Question", "Questions"]

UNASKED = "more than it was asked for"


class Question(Protocol):
    """Something that so many answers are expected to."""

    @property
    def answers(self) -> list[bytes]: ...
    @property
    def expected(self) -> int: ...


Q = TypeVar("Q", bound=Question)


class Questions(Generic[Q]):
    """Gives out answers.

    Attributes:
        waiting: in the order in which they asked.
    """

    __slots__ = ("_reader", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Q] = deque()
        self._reader = AnswerReader()

    def feed(self, data: bytes) -> tuple[list[Q], object]:
        """Take bytes in; gives those who now have all their answers, and what is wrong, if anything is.

        Nobody's answers are to be trusted then, nor what comes later.
        """
        answered: list[Q] = []
        reader, waiting = self._reader, self.waiting
        for answer in reader.feed(data):
            if not waiting:
                return answered, UNASKED
            waiting[0].answers.append(answer)
            if len(waiting[0].answers) == waiting[0].expected:
                answered.append(waiting.popleft())
        if not waiting and not reader.is_between_answers:
            return answered, reader.error or UNASKED
        return answered, reader.error

"""Answers find who asked, however the stream is cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tidegate.client.questions import Questions


@dataclass(eq=False)
class Asked:
    expected: int
    answers: list[bytes] = field(default_factory=list)


ANSWERS = st.lists(st.lists(st.binary(max_size=8), min_size=1, max_size=4), max_size=6)


def framed(*answers: bytes) -> bytes:
    return b"".join(len(answer).to_bytes(4) + answer for answer in answers)


@given(ANSWERS, st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_each_question_gets_its_own_answers_in_the_order_asked(answers: list[list[bytes]], sizes: list[int]) -> None:
    questions: Questions[Asked] = Questions()
    asked = [Asked(len(own)) for own in answers]
    questions.waiting.extend(asked)
    stream = b"".join(framed(*own) for own in answers)
    answered: list[Asked] = []
    for cut in itertools.cycle(sizes):
        if not stream:
            break
        done, error = questions.feed(stream[:cut])
        assert error is None
        answered += done
        stream = stream[cut:]
    assert answered == asked
    assert [each.answers for each in asked] == answers
    assert not questions.waiting


@given(ANSWERS, st.binary(min_size=1, max_size=12))
def test_what_comes_behind_the_last_answer_is_an_error(answers: list[list[bytes]], more: bytes) -> None:
    questions: Questions[Asked] = Questions()
    questions.waiting.extend(Asked(len(own)) for own in answers)
    done, error = questions.feed(b"".join(framed(*own) for own in answers) + more)
    assert error is not None
    assert len(done) == len(answers)


def test_an_answer_over_the_limit_is_an_error() -> None:
    questions: Questions[Asked] = Questions()
    questions.waiting.append(Asked(1))
    assert questions.feed(b"\xff\xff\xff\xff") == ([], questions._reader.error)
    assert questions._reader.error is not None

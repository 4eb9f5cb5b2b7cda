"""What a gateway knows of the events that a worker has not started."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.gateway.peer import EVENT_SIZE, Window


def event(number: int) -> Any:
    return (None, 3, "x" * number)


def run(*numbers: int) -> Any:
    return (None, 3, ["x" * number for number in numbers])


def window(sent: int) -> Window:
    made = Window()
    for number in range(1, sent + 1):
        made.add(*run(number))
    return made


def test_without_numbers_the_oldest_were_started() -> None:
    made = window(5)
    made.progress(2, 1)
    assert (made.rest(), made.running) == ([event(3), event(4), event(5)], 1)


def test_those_named_were_started() -> None:
    made = window(5)
    made.progress(2, 0, (2, 4))
    assert made.rest() == [event(1), event(3), event(5)]
    made.progress(4, 0)
    assert made.rest() == [event(5)]


def test_millions_may_be_started_past_one_that_waits_and_nothing_is_kept_of_them() -> None:
    made = window(1)
    for number in range(2, 10_000):
        made.add(*run(3))
        made.progress(number - 1, number - 1, (number,))
    assert (made.rest(), made.weight) == ([event(1)], 1 + EVENT_SIZE)


@pytest.mark.parametrize(
    ("started", "finished", "numbers"),
    [
        (6, 0, ()),
        (1, 2, ()),
        (1, 0, ()),
        (2, 0, ()),  # fewer than it had said
        (4, 3, (1,)),  # started before
        (4, 3, (6,)),
        (4, 3, (0,)),
        (5, 3, (4, 4)),
        (5, 3, (4,)),
        (3, 3, (4,)),
        (2**64 - 1, 3, ()),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(started: int, finished: int, numbers: tuple[int, ...]) -> None:
    made = window(5)
    made.progress(3, 2)
    with pytest.raises(ValueError, match="PROGRESS"):
        made.progress(started, finished, numbers)
    assert (made.rest(), made.running) == ([event(4), event(5)], 1)


@given(st.data())
def test_it_is_what_a_list_of_all_events_says(data: st.DataObject) -> None:
    made = Window()
    waiting: dict[int, Any] = {}
    sent = started = finished = 0
    for _ in range(data.draw(st.integers(0, 30))):
        for _ in range(data.draw(st.integers(0, 4))):
            numbers = list(range(sent + 1, sent + 1 + data.draw(st.integers(1, 4))))
            made.add(*run(*numbers))
            waiting |= {number: event(number) for number in numbers}
            sent = numbers[-1]
        if data.draw(st.booleans()):
            oldest = data.draw(st.integers(0, len(waiting)))
            numbers = []
            begun = sorted(waiting)[:oldest]
        else:
            begun = numbers = data.draw(st.permutations(sorted(waiting)))[: data.draw(st.integers(0, 5))]
        for number in begun:
            del waiting[number]
        started += len(begun)
        finished = data.draw(st.integers(finished, started))
        made.progress(started, finished, numbers)
        assert made.rest() == list(waiting.values())
        assert made.weight == sum(waiting) + EVENT_SIZE * len(waiting)
        assert made.running == started - finished

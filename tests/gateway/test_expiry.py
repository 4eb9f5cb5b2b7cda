"""When clients expire."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.gateway.expiry import Expiry

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 50)) | st.integers(0, 20) | st.sampled_from("ABC")
)


def test_those_whose_time_has_come_are_taken_once() -> None:
    now = [0.0]
    expiry: Expiry[str] = Expiry(lambda: now[0])
    expiry.set("early", 10)
    expiry.set("late", 20)
    expiry.set("never", None)
    assert expiry.take_due() == []
    now[0] = 10
    assert expiry.take_due() == ["early"]
    assert expiry.take_due() == []
    now[0] = 30
    assert expiry.take_due() == ["late"]
    assert len(expiry) == 0


def test_one_who_is_over_already_is_due_at_once() -> None:
    expiry: Expiry[str] = Expiry(lambda: 100.0)
    expiry.set("late", -5)
    assert expiry.take_due() == ["late"]


@settings(max_examples=50)
@given(STEPS)
def test_it_says_what_looking_at_all_of_them_would_say(steps: list[tuple[str, int | None] | int | str]) -> None:
    now = [0.0]
    expiry: Expiry[str] = Expiry(lambda: now[0])
    times: dict[str, int] = {}
    for step in steps:
        if isinstance(step, tuple):
            client, at = step
            expiry.set(client, at)
            times.pop(client, None)
            if at is not None:
                times[client] = at
        elif isinstance(step, str):
            expiry.discard(step.lower())
            times.pop(step.lower(), None)
        else:
            now[0] += step
            due = [client for client, at in times.items() if at <= now[0]]
            assert sorted(expiry.take_due()) == sorted(due)
            times = {client: at for client, at in times.items() if client not in due}
    assert len(expiry) == len(times)

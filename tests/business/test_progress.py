"""PROGRESS as a gateway understands it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.business.progress import Progress
from tidegate.gateway.peer import Window
from tidegate.wire.packet import PacketReader
from tidegate.wire.progress import unpack_numbers, unpack_progress


def event(number: int) -> Any:
    """As a gateway keeps it, but for the client."""
    return None, 3, str(number)


def run(number: int) -> Any:
    return None, 3, [str(number)]


def report(progress: Progress, window: Window) -> tuple[int, ...] | None:
    """Hand a report over; gives the numbers that it names."""
    data = progress.report()
    if not data:
        return None
    (packet,) = PacketReader().feed(data)
    names = unpack_numbers(packet[3])
    window.progress(*unpack_progress(packet[4]), names)
    return names


@settings(max_examples=300)
@given(st.permutations(range(1, 13)), st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_gateway_knows_which_events_were_started_in_whatever_order(order: list[int], reports: list[bool]) -> None:
    progress, window = Progress(), Window()
    for number in range(1, 13):
        window.add(*run(number))
    for at, number in enumerate(order):
        progress.start(number)
        progress.finished += at % 2
        if reports[at]:
            report(progress, window)
            assert window.rest() == [event(number) for number in sorted(order[at + 1 :])]
            assert window.running == progress.started - progress.finished
    report(progress, window)
    assert window.rest() == []
    assert report(progress, window) is None


def test_events_in_order_are_not_named() -> None:
    progress, window = Progress(), Window()
    for number in (1, 2, 3, 4, 5, 6):
        window.add(*run(number))
    progress.start(1)
    progress.start(2)
    assert report(progress, window) == ()
    progress.start(3)
    progress.start(5)
    assert report(progress, window) == (3, 5)
    progress.start(4)
    assert report(progress, window) == (4,)
    progress.start(6)
    assert report(progress, window) == ()

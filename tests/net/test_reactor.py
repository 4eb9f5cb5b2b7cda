"""What connections of a loop share, and log lines that are left out."""

from __future__ import annotations

import logging
import time

import pytest

from tests.net.support import Runner, turns, until
from tidegate.net.reactor import FrameCache, Reactor
from tidegate.net.throttle import LINES_A_SECOND, Throttle


def test_a_loop_has_one_reactor_which_ends_with_its_last_user(run: Runner) -> None:
    async def main() -> Reactor:
        first, second = Reactor.acquire(), Reactor.acquire()
        assert first is second
        first.release()
        assert Reactor.acquire() is first
        first.release()
        first.release()
        again = Reactor.acquire()
        assert again is not first
        again.release()
        return first

    assert run(main()) is not run(main())


@pytest.mark.usefixtures("hurry")
def test_a_sweep_that_fails_stops_neither_the_others_nor_the_clock(
    run: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        reactor = Reactor.acquire()
        swept: list[int] = []

        def fail() -> None:
            raise ValueError("a bad sweep")

        reactor.sweepers += [fail, lambda: swept.append(reactor.tick)]
        await until(lambda: len(swept) >= 2)
        assert swept[:2] == [1, 2]
        reactor.release()

    run(main())
    assert "a bad sweep" in caplog.text


def test_outboxes_alike_share_what_they_are_joined_to(run: Runner) -> None:
    async def main() -> None:
        reactor = Reactor.acquire()
        joined = reactor.join([b"a", b"b"])
        assert reactor.join([b"a", b"b"]) is joined == b"ab"
        assert reactor.join([b"a", b"c"]) == b"ac"
        assert reactor.join([b"ab"]) == b"ab"
        reactor.release()

    run(main())


def test_a_turn_that_sends_much_keeps_a_bounded_part_of_it(run: Runner) -> None:
    async def main() -> None:
        reactor = Reactor.acquire()
        cache = FrameCache()
        reactor.clear_later(cache)
        for number in range(3 * FrameCache.MAX_ENTRIES):
            cache.add(str(number), b"x")
            assert len(cache) <= FrameCache.MAX_ENTRIES
            assert cache[str(number)] == b"x"
        for number in range(20):
            cache.add(str(number), b"x" * (FrameCache.MAX_SIZE // 4))
            assert sum(map(len, cache.values())) <= FrameCache.MAX_SIZE
        await turns()
        assert (len(cache), cache.size) == (0, 0)
        reactor.release()

    run(main())


def test_log_lines_over_a_few_a_second_are_counted_instead(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    throttle = Throttle(logging.getLogger("tidegate"))
    for number in range(LINES_A_SECOND + 3):
        throttle.log(logging.WARNING, "line %d", number)
    assert [record.getMessage() for record in caplog.records] == [f"line {n}" for n in range(LINES_A_SECOND)]
    caplog.clear()
    now += 1
    throttle.log(logging.WARNING, "another")
    throttle.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "3 lines like the last ones were left out",
        "another",
    ]

"""`every` and `after`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.net.support import Runner, turns, until
from tidegate import after, every


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_every_calls_again_and_again_until_it_is_cancelled(run: Runner, kind: str) -> None:
    async def main() -> None:
        calls: list[tuple[Any, ...]] = []

        async def later(*args: Any) -> None:
            calls.append(args)

        timer = every(0.001, later if kind == "async def" else lambda *args: calls.append(args), "a", 1)
        assert calls == []
        await until(lambda: len(calls) >= 3)
        timer.cancel()
        await turns(5)
        count = len(calls)
        await asyncio.sleep(0.02)
        assert len(calls) == count
        assert set(calls) == {("a", 1)}

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_after_calls_once(run: Runner, kind: str) -> None:
    async def main() -> None:
        calls: list[str] = []

        async def later(name: str) -> None:
            calls.append(name)

        after(0, later if kind == "async def" else calls.append, "x")
        cancelled = after(0.001, calls.append, "never")
        cancelled.cancel()
        other = after(0.002, calls.append, "y")
        await until(lambda: len(calls) == 2)
        other.cancel()  # which is too late, and harmless
        await asyncio.sleep(0.01)
        assert sorted(calls) == ["x", "y"]  # in either order where the loop was late for both

    run(main())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_a_timer_raises_is_logged_and_it_goes_on(run: Runner, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        calls = 0

        def fail() -> None:
            nonlocal calls
            calls += 1
            raise ValueError(f"call {calls}")

        async def fail_later() -> None:
            fail()

        timer = every(0.001, fail if kind == "def" else fail_later)
        await until(lambda: calls >= 3)
        timer.cancel()

    run(main())
    assert "fail" in caplog.records[0].getMessage()
    assert "call 1" in caplog.text
    assert "call 2" in caplog.text


def test_a_slow_async_call_is_not_overtaken_by_the_next(run: Runner) -> None:
    async def main() -> None:
        running = most = calls = 0

        async def work() -> None:
            nonlocal running, most, calls
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            calls += 1

        timer = every(0.001, work)
        await until(lambda: calls >= 4)
        timer.cancel()
        await until(lambda: not running)
        assert most == 1

    run(main())


def test_a_timer_may_cancel_itself(run: Runner) -> None:
    async def main() -> None:
        calls = 0

        async def once() -> None:
            nonlocal calls
            calls += 1
            timer.cancel()

        timer = every(0.001, once)
        await until(lambda: calls)
        await asyncio.sleep(0.01)
        assert calls == 1

    run(main())


def test_seconds_that_make_no_sense_are_a_value_error(run: Runner) -> None:
    async def main() -> None:
        for make, seconds in ((every, 0), (every, -1), (after, -0.5)):
            with pytest.raises(ValueError, match="a timer needs seconds above 0"):
                make(seconds, print)

    run(main())


def test_a_timer_outside_of_a_worker_is_told_where_it_belongs() -> None:
    for make in (every, after):
        with pytest.raises(RuntimeError, match="start them in on_worker_start or later"):
            make(1, print)

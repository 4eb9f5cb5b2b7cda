"""Errors of handlers in a test."""

from __future__ import annotations

import asyncio
import logging
import traceback

import pytest

from tests.net.support import Runner
from tests.testing.support import make_room
from tidegate import BusinessWorker, Client, after
from tidegate.testing import HandlerError, LoggedError, cluster


def test_a_test_that_passes_over_a_handlers_error_fails(run: Runner) -> None:
    async def main() -> None:
        async with cluster(make_room()) as c:
            client = await c.connect()
            await client.send("boom")

    with pytest.raises(HandlerError, match="the test itself passed") as caught:
        run(main())
    (error,) = caught.value.exceptions
    assert str(error) == "of 1"
    assert "in say" in "".join(traceback.format_exception(error))


def test_so_it_does_where_a_thread_or_a_timer_or_the_end_of_the_client_raised(run: Runner) -> None:
    business = BusinessWorker(threads=1)

    @business.on_message
    def blocking(client: Client, message: str) -> None:
        raise KeyError(message)

    @business.on_close
    async def leave(client: Client) -> None:
        raise LookupError(client.id)

    @business.on_worker_start
    def start(worker: BusinessWorker) -> None:
        after(0, fail)

    def fail() -> None:
        raise OSError("timer")

    async def main() -> None:
        async with cluster(business) as c:
            client = await c.connect()
            await client.send("key")

    with pytest.raises(HandlerError) as caught:
        run(main())
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["KeyError", "LookupError", "OSError"]
    assert caught.value.subgroup(KeyError) is not None


def test_an_error_that_is_no_exception_counts_too(run: Runner) -> None:
    business = BusinessWorker()

    @business.on_message
    async def forget(client: Client, message: str) -> None:
        business.is_uid_online("kim")  # nobody waits for it

    async def main() -> None:
        async with cluster(business) as c:
            await (await c.connect()).send("x")

    with pytest.raises(HandlerError) as caught:
        run(main())
    (error,) = caught.value.exceptions
    assert isinstance(error, LoggedError)
    assert "is_uid_online" in str(error)


def test_errors_that_a_test_expects_are_there_and_can_be_removed(run: Runner) -> None:
    async def main() -> None:
        async with cluster(make_room()) as c:
            client = await c.connect()
            await client.send("boom")
            await c.settle()
            assert isinstance(c.errors.pop(), ZeroDivisionError)
        async with cluster(make_room(), raise_errors=False) as c:
            client = await c.connect()
            await client.send("boom")
        assert len(c.errors) == 1

    run(main())


def test_a_test_that_fails_of_it_shows_the_handlers_error(run: Runner) -> None:
    async def main() -> None:
        async with cluster(make_room()) as c:
            client = await c.connect()
            await client.receive()
            await client.send("boom")
            await client.receive(timeout=0.05)

    with pytest.raises(TimeoutError) as caught:
        run(main())
    assert "ZeroDivisionError: of 1" in "".join(caught.value.__notes__)


def test_logging_that_is_turned_off_hides_nothing(run: Runner) -> None:
    async def fail() -> None:
        async with cluster(make_room()) as c:
            await (await c.connect()).send("boom")

    logger = logging.getLogger("tidegate")
    logger.disabled = True
    logger.setLevel(logging.CRITICAL)
    try:
        with pytest.raises(HandlerError):
            run(fail())
        assert logger.disabled
        assert logger.level == logging.CRITICAL
    finally:
        logger.disabled = False
        logger.setLevel(logging.NOTSET)


def test_a_handler_that_raises_without_end_fills_no_memory(run: Runner) -> None:
    async def main() -> None:
        async with cluster(make_room()) as c:
            client = await c.connect()
            for _ in range(150):
                await client.send("boom")
            await c.settle()
            await asyncio.sleep(0)

    with pytest.raises(HandlerError, match="50 more were left out") as caught:
        run(main())
    assert len(caught.value.exceptions) == 100

"""Both event loops, for each test that asks for `run`; and routers without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.scripted import World
from tests.net.support import LOOPS, Runner
from tidegate.net import reactor

pytest.register_assert_rewrite("tests.gateway.answers")  # for what was answered to be shown where it is wrong


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


@pytest.fixture
def worlds() -> Iterator[Any]:
    made: list[World] = []

    def make(*args: Any, **limits: Any) -> World:
        made.append(World(*args, **limits))
        return made[-1]

    yield make
    for world in made:
        for client in world.open_clients().values():
            world.leave(client)
        world.end()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of the process's clock is a moment."""
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.02)

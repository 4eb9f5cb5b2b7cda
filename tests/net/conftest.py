from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner
from tidegate.net import reactor


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine, in each kind of loop."""
    return Runner(LOOPS[request.param])


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds by which connections are given time pass quickly."""
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.05)

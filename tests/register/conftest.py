from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner
from tidegate.cluster import keeper


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine, in each kind of loop."""
    return Runner(LOOPS[request.param])


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds between attempts, and until a connection counts as taken, pass quickly."""
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(keeper, "LASTING_SECONDS", 0.1)

from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner
from tidegate.business import keeper


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine, in each kind of loop."""
    return Runner(LOOPS[request.param])


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds until a link is made again, and until a gateway is gone, pass quickly."""
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "GONE_SECONDS", 0.2)

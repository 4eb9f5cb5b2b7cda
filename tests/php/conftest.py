"""Both event loops, for each test that asks for `run`."""

from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner
from tidegate.cluster import keeper


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Register that is back is soon found again."""
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.1)


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])

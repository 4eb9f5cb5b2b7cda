"""Both event loops, for each test that asks for `run`."""

from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])

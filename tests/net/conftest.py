from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine, in each kind of loop."""
    return Runner(LOOPS[request.param])

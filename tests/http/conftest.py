from __future__ import annotations

import pytest

from tests.net.support import LOOPS, Runner


@pytest.fixture
def run() -> Runner:
    """Runs a coroutine in the loop that a worker has."""
    return Runner(LOOPS["uvloop"])

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.support import LOOPS, Runner
from tests.process.support import Place


@pytest.fixture
def run() -> Runner:
    """Runs a coroutine in the loop that a worker has."""
    return Runner(LOOPS["uvloop"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with an app; whatever is started there ends with the test."""
    place = Place(tmp_path)
    yield place
    place.clear()

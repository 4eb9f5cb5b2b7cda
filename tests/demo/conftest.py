from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.support import Demo


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """One for all tests of a runner: each has a room of its own in it."""
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        demo = Demo(Path(folder), count=2)
        yield demo
        demo.stop()


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room that no other test is in."""
    return str(request.node.name).removeprefix("test_")[:32]

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nats.conftest import nats
from tests.process.support import Place

__all__ = ["nats"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder with an app; whatever is started there ends with the test."""
    place = Place(tmp_path)
    yield place
    place.clear()

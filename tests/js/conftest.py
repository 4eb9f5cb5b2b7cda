from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.support import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with an app; whatever is started there ends with the module's tests."""
    place = Place(tmp_path_factory.mktemp("site"))
    yield place
    place.clear()

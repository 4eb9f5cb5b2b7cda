"""Fixtures that the protocols' tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(params=[None, 1, 3], ids=["at once", "byte by byte", "three bytes at a time"])
def size(request: pytest.FixtureRequest) -> int | None:
    """How many bytes a codec is fed at a time; None for all of them."""
    value: int | None = request.param
    return value

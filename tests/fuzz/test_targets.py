"""Every target, briefly and without the fuzzer: its seeds, seeds that were changed, and any bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS, commands


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    """What the runs share."""
    yield
    commands.gateway().end()
    commands.gateway.cache_clear()


brief = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
targets = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@targets
def test_what_holds_of_any_bytes_holds_of_the_seeds(target: Target) -> None:
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds:
        target.run(seed)


@brief
@given(st.data())
@targets
def test_what_holds_of_any_bytes_holds_of_some(target: Target, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(list(target.seeds())))
    at, dropped = data.draw(st.integers(0, len(seed))), data.draw(st.integers(0, 8))
    target.run(seed[:at] + data.draw(st.binary(max_size=12)) + seed[at + dropped :])

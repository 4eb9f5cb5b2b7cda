"""The soak's judgement; `make soak` has the soak itself."""

from __future__ import annotations

import pytest

from tests.soak import Sample, growth

MIB = 2**20


@pytest.mark.parametrize(
    ("last", "descriptors", "grows"), [(40, 20, False), (41, 22, False), (60, 20, True), (40, 40, True)]
)
def test_a_process_grows_where_it_ends_with_clearly_more_than_it_had_when_it_was_warm(
    last: int, descriptors: int, grows: bool
) -> None:
    cold = [Sample(20 * MIB, 5)] * 30
    warm = [Sample(40 * MIB, 20), Sample(39 * MIB, 21), Sample(40 * MIB, 19)] * 10
    end = [Sample(last * MIB, descriptors)] * 40
    before, after, found = growth(cold + warm + end)
    assert (before.memory // MIB, after.memory // MIB) == (40, last)
    assert found is grows

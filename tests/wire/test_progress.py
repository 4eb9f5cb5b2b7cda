"""What workers tell of their work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.progress import (
    pack_numbers,
    pack_progress,
    pack_released,
    unpack_numbers,
    unpack_progress,
    unpack_released,
)

counts = st.integers(0, 2**64 - 1)


@given(counts, counts)
def test_progress_is_two_numbers_of_8_bytes(started: int, finished: int) -> None:
    body = pack_progress(started, finished)
    assert body == started.to_bytes(8) + finished.to_bytes(8)
    assert unpack_progress(body) == (started, finished)


@given(st.lists(counts, max_size=20))
def test_the_numbers_of_events_have_8_bytes_each(numbers: list[int]) -> None:
    ext = pack_numbers(numbers)
    assert len(ext) == 8 * len(numbers)
    assert unpack_numbers(ext) == tuple(numbers)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_released_connection_ids_have_4_bytes_each(ids: list[int]) -> None:
    body = pack_released(iter(ids))
    assert body == b"".join(id.to_bytes(4) for id in ids)
    assert unpack_released(body) == tuple(ids)


@pytest.mark.parametrize("size", [0, 8, 15, 17, 24])
def test_progress_of_another_size_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        unpack_progress(bytes(size))


def test_a_part_of_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="each has 8"):
        unpack_numbers(bytes(12))
    with pytest.raises(ValueError, match="each connection id has 4"):
        unpack_released(bytes(6))

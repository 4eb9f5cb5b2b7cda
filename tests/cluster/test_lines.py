"""Lines in a stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.cluster.lines import MAX_LINE_SIZE, LineReader


@given(
    st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=6), st.lists(st.integers(0, 200))
)
def test_lines_come_out_whole_however_the_stream_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    reader = LineReader()
    found: list[bytes] = []
    for start, end in zip(places, [*places[1:], len(stream)], strict=True):
        found += reader.feed(memoryview(stream)[start:end])
    assert found == [line.removesuffix(b"\r") for line in lines]
    assert reader.error is None


def test_a_line_over_the_limit_ends_the_stream_after_what_came_before() -> None:
    longest = b"x" * MAX_LINE_SIZE
    for too_long in (longest + b"x", longest + b"x\n", longest + b"x\nb\n"):
        reader = LineReader()
        assert reader.feed(b"a\n" + longest + b"\n" + too_long) == [b"a", longest]
        assert reader.error is not None
        assert "a line over" in reader.error.reason
        assert reader.feed(b"c\n") == []


def test_a_line_over_the_limit_is_noticed_before_it_ends() -> None:
    reader = LineReader()
    for _ in range(MAX_LINE_SIZE // 1024):
        assert reader.feed(b"x" * 1024) == []
        assert reader.error is None
    assert reader.feed(b"x") == []
    assert reader.error is not None

"""Each benchmark runs, with few clients and for a moment; no time is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from benchmarks import echo, fanout, growth, handshake, memory, push, room, scale
from benchmarks.figures import Row
from benchmarks.processes import BenchmarkError, Helper, load, reference

TINY: dict[str, Callable[[], list[Row]]] = {
    "fanout": lambda: fanout.run(1, members=20),
    "room": lambda: room.run(1, members=20, rates=(5, 10), milliseconds=300),
    "echo": lambda: echo.run(1, loads=((5, 2),), milliseconds=50),
    "memory": lambda: memory.run(1, step=50),
    "handshake": lambda: handshake.run(1, connections=50),
    "push": lambda: push.run(1, calls=500),
    "growth": lambda: growth.run(1, sizes=(100, 200), rounds=2),
    "scale": lambda: scale.run(1, members=20, milliseconds=50),
}


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_runs(name: str) -> None:
    rows = TINY[name]()
    assert rows
    assert all(len(row.values) == 1 and str(row) for row in rows)


def loads() -> list[Helper]:
    """The one in C, where there is a compiler, and the one in Python."""
    return [load(), Helper(sys.executable, "-m", "benchmarks.load", on=set())]


@pytest.mark.parametrize("which", [0, 1])
def test_a_load_gets_back_what_it_sends(which: int) -> None:
    with reference("echo") as server, loads()[which] as clients:
        clients.ask("connect", "some", "echoed", server.port, 10, "/")
        assert clients.ask("exchange", "some") == 10
        assert clients.ask("echo", "some", 3, 20)["messages"] >= 30


@pytest.mark.parametrize("which", [0, 1])
def test_a_load_hears_every_frame_of_a_burst(which: int) -> None:
    with reference("send") as server, loads()[which] as clients:
        clients.ask("connect", "some", "raw", server.port, 10, "/")
        clients.ask("fanout", "some", 3, 1)
        clients.ask("fanout", "some", 2, 40)
        heard = clients.ask("speak", "some", 50, 200, "-")
        assert heard["missing"] == 0


@pytest.mark.parametrize("which", [0, 1])
def test_a_load_that_gets_other_bytes_says_so(which: int) -> None:
    # Of an echo come a client's frames, which are not what members of a room are to get.
    with reference("echo") as server, loads()[which] as clients:
        clients.ask("connect", "some", "raw", server.port, 1, "/")
        with pytest.raises(BenchmarkError, match="other bytes"):
            clients.ask("fanout", "some", 1, 1)

"""Each benchmark runs, with few clients and for a moment; no time is looked at."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import fanout, growth, room
from benchmarks.figures import Row
from benchmarks.measuring import Cost
from benchmarks.processes import BenchmarkError, Helper, load, reference

TINY: dict[str, Callable[[], list[Row]]] = {
    "fanout": lambda: fanout.run(1, members=20),
    "growth": lambda: growth.run(1, sizes=(100,), rounds=1),
}
"""Two that have between them what all are made of: each start of a cluster takes a second."""


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_runs(name: str) -> None:
    rows = TINY[name]()
    assert rows
    assert all(len(row.values) == 1 and str(row) for row in rows)


class Room:
    """Stands in for the load of a room that keeps up with so many messages a second."""

    pids = (os.getpid(),)

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.orders: list[str] = []

    def ask(self, *words: Any) -> dict[str, Any]:
        order, _, *more = words
        self.orders.append(order if order != "speak" else f"at {more[0]}")
        late = order == "speak" and more[0] > self.limit
        return {"p50": 1.0, "p99": 1000.0 if late else 2.0, "bystanders_p99": 1.0, "missing": 0}


@pytest.mark.parametrize(
    ("limit", "spoken"),
    [(10_000, [400, 800, 1200]), (900, [400, 800, 1200]), (400, [400, 800]), (250, [400, 200]), (5, [400, 200, 100])],
)
def test_a_room_speaks_faster_until_it_is_too_much_and_slower_where_it_is_at_once(
    limit: int, spoken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: Any = Room(limit)
    monkeypatch.setattr(room, "Spent", lambda *_: SimpleNamespace(rates=lambda *_: Cost(1, 1, 0.5)))
    heard = room.climb(clients, clients, 1, members=3, rates=(100, 200, 400, 800, 1200))
    assert list(heard) == spoken
    assert [rate for rate, found in heard.items() if room.is_kept(found)] == [rate for rate in spoken if rate <= limit]
    assert clients.orders.count("connect") == clients.orders.count("close")  # no client of a room that lags stays


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

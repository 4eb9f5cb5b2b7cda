"""``python -m tests.soak --minutes N``: whether the processes of an app grow while clients come and go for long.

Clients talk, come and go, change groups and sessions, and a push client pushes; nothing is killed, so that what a
process has at the end can be held against what it had once it was warm. Exits with 1 where memory or descriptors grow.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.chaos.clients import Crowd, Habits
from tests.chaos.cluster import App
from tests.chaos.pusher import Pusher

__all__ = ["Sample", "growth"]

WARM_UP = 0.3
"""Part of the time of which nothing is taken."""
MEMORY_ALLOWED, DESCRIPTORS_ALLOWED = 2 * 1024 * 1024, 5
"""What a process may have more of at the end than at the beginning, in bytes; besides 5% of it, memory's grain."""
PAUSE = 0.5
HABITS = Habits(leaving=0.01)


class Sample(NamedTuple):
    """Of one process."""

    memory: int
    descriptors: int


def growth(samples: Sequence[Sample]) -> tuple[Sample, Sample, bool]:
    """What a process had after the warm-up and at the end, the medians of a quarter of the time each, and whether it
    grows."""
    warm = samples[int(len(samples) * WARM_UP) :]
    part = max(1, len(warm) // 4)
    before, after = _median(warm[:part]), _median(warm[-part:])
    memory = after.memory - before.memory
    grows = memory > max(MEMORY_ALLOWED, before.memory // 20)
    return before, after, grows or after.descriptors - before.descriptors > DESCRIPTORS_ALLOWED


def _median(samples: Sequence[Sample]) -> Sample:
    return Sample(
        int(statistics.median(sample.memory for sample in samples)),
        int(statistics.median(sample.descriptors for sample in samples)),
    )


async def _soak(app: App, seconds: float, clients: int) -> tuple[Crowd, dict[str, list[Sample]]]:
    crowd = Crowd(clients, app.port, app.inner, dict, lambda index: False, HABITS)
    pusher = Pusher(app.address, lambda: crowd.here)
    for person in crowd.people:
        person.come()
    pusher.start()
    talking = asyncio.create_task(crowd.talk(seconds))
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    begun = time.monotonic()
    while not talking.done():
        await asyncio.sleep(PAUSE)
        for row in await asyncio.to_thread(app.look):
            if row["memory"] is not None:
                descriptors = len(os.listdir(f"/proc/{row['pid']}/fd"))
                samples[row["role"]].append(Sample(row["memory"], descriptors))
        if sys.stderr.isatty():
            print(f"\r{time.monotonic() - begun:5.0f} s", end="", file=sys.stderr)
    await asyncio.to_thread(pusher.stop)
    crowd.end()
    return crowd, samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args()
    os.environ.setdefault("PYTEST_XDIST_WORKER", f"gw{10 + os.getpid() % 10}")  # ports that no test is given
    with tempfile.TemporaryDirectory(prefix="tgsoak") as folder:
        app = App(Path(folder))
        try:
            app.start()
            crowd, samples = asyncio.run(_soak(app, options.minutes * 60, options.clients))
        finally:
            app.clear()
    print(f"{len(crowd.connections)} connections, {crowd.answers} answers")
    found = False
    for role, own in samples.items():
        before, after, grows = growth(own)
        found |= grows
        memory = f"{before.memory / 2**20:7.1f} -> {after.memory / 2**20:7.1f} MiB"
        print(f"{role:<14} {memory} {before.descriptors:5} -> {after.descriptors:5} fds {'GROWS' if grows else ''}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

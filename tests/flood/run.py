"""One flood: what was done, what the honest ones felt, and what the app's processes took, counted and logged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

from tests.flood.app import App
from tests.flood.honest import Honest

__all__ = ["FLOODS", "Flood", "Result", "flood", "hostile"]

ATTEMPTS = 5
"""At a flood that is too short for a slow machine to become one."""
LOOK_SECONDS = 0.25
MIB = 1024 * 1024
STALL = 3.0
"""Seconds that a single thing may take longer, as of a machine that has more to do."""
LINES = 60
"""That the app may log in a second, all its processes together."""


@dataclass(frozen=True, slots=True)
class Flood:
    """What is done, and what has to be counted of it.

    Attributes:
        attack: its name.
        connections: that it keeps.
        counters: of which one has to rise at least; none where nothing happens that is a limit's.
        memory: MiB that a process may take for it.
        usual: seconds that honest ones may usually wait. It is much where the flood is of messages that are right, and
            as many as workers can take: they wait in line with it, unless clients are limited.
    """

    attack: str
    connections: int
    counters: tuple[str, ...] = ()
    memory: int = 32
    usual: float = 0.5


HANDSHAKES = ("websocket.late_handshakes", "websocket.dropped_handshakes")
FLOODS = {
    flood.attack: flood
    for flood in (
        Flood("slowloris", 1500, HANDSHAKES),
        Flood("silence", 3000, HANDSHAKES, 64),
        Flood("churn", 100, ("websocket.handshake_failures",)),
        Flood("tiny", 8, memory=128, usual=3),
        Flood("unread", 50, ("websocket.slow_consumers",), 160, usual=1),
        Flood("pings", 20, ("websocket.protocol_errors",), 64),
        Flood("fragments", 20, ("websocket.protocol_errors",)),
        Flood("empty_fragments", 20, ("websocket.protocol_errors",)),
        Flood("bombs", 20, ("websocket.large_messages",), 64),
        Flood("noise", 50, ("websocket.handshake_failures", "websocket.protocol_errors")),
        Flood("slow_readers", 300, ("websocket.slow_consumers",), 64),
    )
}


@dataclass(slots=True)
class Result:
    """What a flood came to."""

    name: str
    done: dict[str, int]
    waits: dict[str, list[float]]
    counted: Counter[str]
    memory: dict[str, int]
    lines: list[str]
    problems: list[str]

    def __str__(self) -> str:
        done = ", ".join(f"{what} {count:,}" for what, count in self.done.items())
        waits = ", ".join(
            f"{what} {statistics.median(own) * 1000:.0f}/{max(own) * 1000:.0f}"
            for what, own in self.waits.items()
            if own
        )
        memory = ", ".join(f"{role} +{more / MIB:.1f}" for role, more in self.memory.items() if more > MIB)
        counted = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counted.items()))
        problems = "".join(f"\n  WRONG: {problem}" for problem in self.problems)
        return (
            f"{self.name}: {done}\n  ms waited, usually/at worst: {waits}\n  MiB: {memory or 'none'}"
            f"\n  counted: {counted}\n  log: {len(self.lines)} lines{problems}"
        )


class Hostile:
    """The process of the hostile ones."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def attack(self, name: str, count: int, seconds: float) -> dict[str, int]:
        """Do it; gives what was done."""
        assert self._process.stdin is not None
        line = json.dumps({"name": name, "count": count, "seconds": seconds})
        self._process.stdin.write(line.encode() + b"\n")
        done: dict[str, int] = json.loads(await self.read())
        return done

    async def read(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


@contextlib.asynccontextmanager
async def hostile(app: App) -> AsyncIterator[Hostile]:
    """Have that process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.flood.attacks", json.dumps(asdict(app.ports))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    made = Hostile(process)
    try:
        await made.read()
        yield made
    finally:
        process.kill()
        await process.wait()


async def flood(app: App, enemies: Hostile, what: Flood, seconds: float) -> Result:
    """Flood the app for so long."""
    before, memory_before = await asyncio.to_thread(app.look)
    lines_before = len(app.lines())
    peak = dict(memory_before)
    done: Counter[str] = Counter()
    async with Honest(app.ports) as honest:
        for _ in range(ATTEMPTS):
            attack = asyncio.create_task(enemies.attack(what.attack, what.connections, seconds))
            while not attack.done():
                await asyncio.wait([attack], timeout=LOOK_SECONDS)
                now, memory = await asyncio.to_thread(app.look)
                peak = {role: max(own, memory[role]) for role, own in peak.items()}
            done.update(attack.result())
            if not what.counters or any((now - before)[name] for name in what.counters):
                break
    after, _ = await asyncio.to_thread(app.look)
    taken = {role: own - memory_before[role] for role, own in peak.items()}
    lines = app.lines()[lines_before:]
    result = Result(what.attack, done, honest.waits, after - before, taken, lines, honest.problems)
    result.problems += _problems(what, result, seconds)
    if wrong := [(number, told) for number, told in enumerate(honest.told, 1) if number != told]:
        result.problems.append(
            f"of what everybody was told number {wrong[0][0]} came as {wrong[0][1]} to one that reads"
        )
    return result


def _problems(what: Flood, result: Result, seconds: float) -> list[str]:
    found = []
    for name, waits in result.waits.items():
        if statistics.median(waits) > what.usual or max(waits) > what.usual + STALL:
            found.append(f"{name!r} took {statistics.median(waits):.2f} s, at worst {max(waits):.2f} s")
    if missing := {"echo", "come", "push", "ask over HTTP"} - result.waits.keys():
        found.append(f"nobody could {', '.join(sorted(missing))}")
    for role, more in result.memory.items():
        if more > what.memory * MIB:
            found.append(f"{role} has taken {more / MIB:.0f} MiB")
    if what.counters and not any(result.counted[name] for name in what.counters):
        found.append(f"none of {', '.join(what.counters)} was counted")
    if len(result.lines) > LINES * (seconds + 1):
        found.append(f"{len(result.lines)} lines were logged")
    found += [f"the log has a traceback: {line}" for line in result.lines if line.startswith("Traceback")][:1]
    return found

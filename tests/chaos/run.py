"""One run, from the app's start to the account."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.accounts import Account, Counted, settle
from tests.chaos.clients import Crowd
from tests.chaos.cluster import App, Troubles
from tests.chaos.pusher import Pusher
from tests.chaos.records import Connection

__all__ = ["Outcome", "run"]

QUIET_SECONDS = 2.5
"""Without anything new, until nothing more is to come."""
SETTLE_SECONDS = 30


@dataclass(slots=True)
class Outcome:
    """What a run was, and came to."""

    account: Account
    done: Counter[str]
    refused: Counter[str]
    raised: Counter[str]
    log: str

    def __str__(self) -> str:
        done = ", ".join(f"{what}: {count}" for what, count in sorted(self.done.items()))
        raised = ", ".join(f"{what}: {count}" for what, count in sorted(self.raised.items())) or "none"
        refused = "".join(f"\nrefused: {what} ({count})" for what, count in self.refused.items())
        return f"troubles: {done}{refused}\nerrors that the push client raised: {raised}\n\n{self.account}"


def run(
    folder: Path, seconds: float, seed: int, *, clients: int = 30, pause: float = 1.0, nats: str | None = None
) -> Outcome:
    """Start the app, make trouble under traffic for so long, let it settle, and account.

    Args:
        pause: seconds between two troubles, on average.
        nats: of `App`.
    """
    app = App(folder, nats)
    try:
        app.start()
        troubles = Troubles(app, seed, pause)
        crowd, pusher = asyncio.run(_traffic(app, troubles, seconds, clients))
        account = settle(crowd.connections, pusher.streams, _counted(app, troubles))
        return Outcome(account, troubles.done, troubles.refused, pusher.raised, app.log())
    finally:
        app.clear()


async def _traffic(app: App, troubles: Troubles, seconds: float, clients: int) -> tuple[Crowd, Pusher]:
    def bases() -> Mapping[str, int]:
        found = {name: stream.sent + 1 for name, stream in tuple(pusher.streams.items())}
        found.update((connection.name, len(connection.published) + 1) for connection in crowd.here)
        return found

    crowd = Crowd(clients, app.port, app.inner, bases, troubles.is_young)
    pusher = Pusher(app.address, lambda: crowd.here)
    for person in crowd.people:
        person.come()
    pusher.start()
    troubles.start()
    try:
        await crowd.talk(seconds)
    finally:
        await asyncio.to_thread(troubles.stop)
        await asyncio.to_thread(pusher.stop)
    await _until_quiet(lambda: crowd.answers + sum(_heard(connection) for connection in crowd.here))
    await asyncio.to_thread(app.look)
    crowd.end()
    return crowd, pusher


def _heard(connection: Connection) -> int:
    return sum(numbers.count for numbers in connection.streams.values())


async def _until_quiet(count: Callable[[], int]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    since, before = time.monotonic(), count()
    while time.monotonic() < min(deadline, since + QUIET_SECONDS):
        await asyncio.sleep(0.05)
        if count() != before:
            since, before = time.monotonic(), count()


def _counted(app: App, troubles: Troubles) -> Counted:
    living = app.pids("web")
    pids = set(living.values())
    return Counted(
        began=app.began("web"),
        lost={index: app.total("web", "events_lost", {pid}) for index, pid in living.items()},
        lost_before=app.total("web", "events_lost") - app.total("web", "events_lost", pids),
        dropped=app.total("web", "events_dropped"),
        sends_failed=app.total("business", "sends_failed"),
        kills=len(troubles.worker_kills),
    )

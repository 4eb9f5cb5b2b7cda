"""A reload under load: a thousand clients, a third of them with handlers that take 50 ms, and none is to notice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.clients import Crowd, Habits
from tests.chaos.cluster import App

CLIENTS = 1000
HABITS = Habits(tick=0.1, talking=0.15, publishing=0, leaving=0)


def test_a_thousand_clients_get_each_answer_once_and_in_order_while_workers_are_replaced_added_and_taken_away(
    tmp_path: Path,
) -> None:
    app = App(tmp_path)
    try:
        app.start()
        before = set(app.pids("business").values())
        crowd = asyncio.run(_talk(app))
        connections = crowd.connections
        assert not before & set(app.pids("business").values())
        assert [connection for connection in connections if connection.end or connection.unanswered] == []
        assert not any(connection.answers.late or connection.answers.twice for connection in connections)
        assert len(connections) == CLIENTS
        assert crowd.answers > 3 * CLIENTS
        for counter in ("events_lost", "events_dropped"):
            assert app.total("web", counter) == 0
    finally:
        app.clear()


async def _talk(app: App) -> Crowd:
    crowd = Crowd(CLIENTS, app.port, app.inner, dict, lambda index: False, HABITS)
    for person in crowd.people:
        person.come()
    async with asyncio.timeout(50):
        while sum(connection.base is not None for connection in crowd.here) < CLIENTS:
            await asyncio.sleep(0.1)
        talking = asyncio.create_task(crowd.talk(float("inf")))
        for count in (3, 2):
            app.set_count(count)
            await asyncio.to_thread(app.command, "reload", all=False)
        talking.cancel()
        while any(connection.unanswered for connection in crowd.here):
            await asyncio.sleep(0.1)
    await asyncio.to_thread(app.look)
    crowd.end()
    return crowd

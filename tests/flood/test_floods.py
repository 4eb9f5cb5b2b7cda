"""Floods, each for a moment; `make flood` has long ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.flood.app import App
from tests.flood.run import Flood, Result, flood, hostile

LIMITED = {
    "max_handshakes": 40,
    "max_messages_per_second": 500,
    "send_buffer_limit": 64 * 1024,
    "send_to_worker_limit": 1024 * 1024,
}
FLOODS = (
    Flood("slowloris", 200, ("websocket.dropped_handshakes",)),
    Flood("silence", 600, ("websocket.dropped_handshakes",)),
    Flood("tiny", 4, ("websocket.rate_pauses",)),
    Flood("pings", 8, ("websocket.protocol_errors", "websocket.slow_consumers")),
    Flood("empty_fragments", 4, ("websocket.protocol_errors",)),
    Flood("bombs", 4, ("websocket.large_messages",)),
    Flood("noise", 30, ("websocket.handshake_failures",)),
    Flood("slow_readers", 20),
)
SECONDS = 0.2


@pytest.mark.timeout(120)
def test_honest_clients_are_served_while_hostile_ones_flood_every_door(tmp_path: Path) -> None:
    async def main() -> list[Result]:
        async with hostile(app) as enemies:
            return [await flood(app, enemies, what, SECONDS) for what in FLOODS]

    app = App(tmp_path, ("websocket", "text"), LIMITED)
    try:
        app.start()
        results = asyncio.run(main())
    finally:
        app.clear()
    assert not [str(result) for result in results if result.problems]

"""What comes over NATS before a gateway is sure of its address."""

from __future__ import annotations

import asyncio

import pytest

from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import parse_nats
from tidegate.gateway import nats
from tidegate.gateway.nats import NatsDoor


@pytest.mark.parametrize(("size", "kept"), [(0, 3), (40, 2), (101, 0)])
def test_it_is_kept_as_far_as_there_is_room_and_counted_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, size: int, kept: int
) -> None:
    monkeypatch.setattr(nats, "MAX_EARLY", 3)
    monkeypatch.setattr(nats, "MAX_EARLY_SIZE", 100)

    async def main() -> None:
        door = NatsDoor("g", parse_nats(["nats://127.0.0.1:4222"]), "127.0.0.1:2900", "", 1000)
        message = Message("all", "", None, bytes(size), 1)
        door._received([message] * 2)
        door._received([message] * 3)
        assert door._early is not None
        assert len(door._early) == kept
        assert door.snapshot()["nats_unanswered"] == 5 - kept

    asyncio.run(main())

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import uvicorn.server

from tests.net.support import LOOPS, Runner


@pytest.fixture(autouse=True)
def uvicorn_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks ten times a second whether it is to end, and then whether it has: a fifth of a second in each test."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 20)

    hurried = SimpleNamespace(**vars(asyncio) | {"sleep": sleep})
    monkeypatch.setattr(uvicorn.server, "asyncio", hurried)


@pytest.fixture
def run() -> Runner:
    """Runs a coroutine in the loop that a worker has."""
    return Runner(LOOPS["uvloop"])

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.nats.server import NatsServer
from tidegate.cluster.nats import connector


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One for all tests that do it no harm; each takes a namespace of its own."""
    with NatsServer(tmp_path_factory.mktemp("nats"), jetstream=True) as server:
        yield server


@pytest.fixture
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One that a test may stop."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed quickly."""
    monkeypatch.setattr(connector, "TICK_SECONDS", 0.05)

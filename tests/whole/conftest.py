from __future__ import annotations

from tests.cluster.nats.conftest import nats

__all__ = ["nats"]

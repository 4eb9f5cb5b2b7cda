"""A cluster inside a test: Register, gateways and your workers in the test's own loop, and a WebSocket client."""

from __future__ import annotations

from tidegate.testing.client import ClientClosedError, NoMessageError, WebSocketClient
from tidegate.testing.problems import HandlerError, LoggedError
from tidegate.testing.running import Cluster, cluster

__all__ = [
    "ClientClosedError",
    "Cluster",
    "HandlerError",
    "LoggedError",
    "NoMessageError",
    "WebSocketClient",
    "cluster",
]

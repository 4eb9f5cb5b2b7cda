"""Tidegate, a real-time push gateway: it holds client connections and lets any backend push to them."""

from __future__ import annotations

from tidegate.app import App
from tidegate.net.connection import Connection
from tidegate.net.timers import after, every
from tidegate.worker import Worker

__all__ = ["App", "Connection", "Worker", "after", "every"]

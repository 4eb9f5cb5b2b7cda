"""The demo: a chat room with its web page and a door for telnet, on a cluster of its own."""

from __future__ import annotations

from tidegate.demo.cluster import demo

__all__ = ["demo"]

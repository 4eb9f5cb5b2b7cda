"""Taking the mask off what a WebSocket client sent (RFC 6455 section 5.3), compiled where that can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tidegate.speedups import compiled

__all__ = ["apply_mask"]

Data: TypeAlias = bytes | bytearray | memoryview

apply_mask: Callable[[Data, bytes | bytearray], bytes]
if compiled is not None:
    apply_mask = compiled.apply_mask
else:
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # no compiled helper for this platform either
        from websockets.utils import apply_mask

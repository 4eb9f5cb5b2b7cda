"""Taking the mask off what a WebSocket client sent (RFC 6455 section 5.3), compiled where that can be had."""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled helper for this platform
    from websockets.utils import apply_mask

__all__ = ["apply_mask"]

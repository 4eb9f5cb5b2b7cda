"""What a system's error says to people."""

from __future__ import annotations

import os

__all__ = ["reason_of"]


def reason_of(error: OSError) -> str:
    """In the system's own words; asyncio's say where it was as well, and a time-out's are empty."""
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if error.errno is not None and error.errno > 0:  # those of name resolution are below
        return os.strerror(error.errno)
    return error.strerror or str(error)

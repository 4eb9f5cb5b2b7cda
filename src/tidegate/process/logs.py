"""Logging: one line an event on standard error, the same in every process."""

from __future__ import annotations

import logging
import sys

__all__ = ["set_up"]


def set_up(process: str) -> None:
    """Log for this process.

    Args:
        process: its name in the lines, such as ``chat#0``.
    """
    handler = logging.StreamHandler(sys.stderr)
    name = process.replace("%", "%%")
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {name} [%(process)d] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)

"""The compiled inner loops of `_speedups`, where they were built. What is missing without them is only speed."""

from __future__ import annotations

import os
from types import ModuleType

__all__ = ["compiled"]

compiled: ModuleType | None
"""None where they are not there, or TIDEGATE_PURE_PYTHON is set."""
try:
    from tidegate import _speedups as compiled
except ImportError:
    compiled = None
if os.environ.get("TIDEGATE_PURE_PYTHON"):
    compiled = None

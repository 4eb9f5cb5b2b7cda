from __future__ import annotations

from tests.net.conftest import run

__all__ = ["run"]

"""Log lines that hostile peers can cause, a few a second at the most."""

from __future__ import annotations

import logging
import time

__all__ = ["Throttle"]

LINES_A_SECOND = 5


class Throttle:
    """Writes the first lines of each second, and then how many were left out."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._second = 0
        self._written = 0
        self._left_out = 0

    def log(self, level: int, message: str, *args: object, error: BaseException | None = None) -> None:
        """Write a line, with the traceback of an error where there is one, or count it."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
            self.flush()
        if self._written >= LINES_A_SECOND:
            self._left_out += 1
            return
        self._written += 1
        self._logger.log(level, message, *args, exc_info=error)

    def flush(self) -> None:
        """Say how many lines were left out; called once a second."""
        if self._left_out:
            self._logger.warning("%d lines like the last ones were left out", self._left_out)
            self._left_out = 0

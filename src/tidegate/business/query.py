"""A query of a worker's, which begins when it is awaited; one that never is, is a mistake that the log tells of."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine, Generator
from types import FrameType, TracebackType
from typing import Any, TypeVar

from tidegate.client.call import Call

__all__ = ["Query"]

logger = logging.getLogger("tidegate")

T = TypeVar("T")

OURS = "tidegate."


class Query(Coroutine[Any, Any, T]):
    """An answer to be awaited, as it is or in a task.

    Args:
        carry: asks it.
    """

    __slots__ = ("_call", "_carry", "_coroutine", "_file", "_line")

    def __init__(self, call: Call[T], carry: Callable[[Call[T]], Coroutine[Any, Any, T]]) -> None:
        self._call = call
        self._carry = carry
        self._coroutine: Coroutine[Any, Any, T] | None = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith(OURS):
            frame = frame.f_back
        self._file = frame.f_code.co_filename if frame is not None else "?"
        self._line = frame.f_lineno if frame is not None else 0

    def __repr__(self) -> str:
        return f"<Query {self._call.name} of {self._file}:{self._line}>"

    def _begun(self) -> Coroutine[Any, Any, T]:
        if self._coroutine is None:
            self._coroutine = self._carry(self._call)
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """Go on, as coroutines do."""
        return self._begun().send(value)

    def throw(self, typ: Any, val: BaseException | object = None, tb: TracebackType | None = None) -> Any:
        """Raise in it, as coroutines do."""
        return self._begun().throw(typ, val, tb) if val is not None or tb is not None else self._begun().throw(typ)

    def close(self) -> None:
        """Ask it no more."""
        self._begun().close()

    def __del__(self) -> None:
        if self._coroutine is None:
            logger.error(
                "%s, line %d: %s was called and never awaited, so that nothing was asked: write await",
                self._file,
                self._line,
                self._call.name,
            )

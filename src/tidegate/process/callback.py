"""Callbacks of a worker, as attributes that take a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

__all__ = ["Callback", "HasCallbacks"]

F = TypeVar("F", bound=Callable[..., Any])


class HasCallbacks(Protocol):
    """Where a callback goes."""

    def set_callback(self, name: str, fn: Callable[..., Any] | None) -> None:
        """Set a callback by its name."""


class Callback:
    """A callback, set by decorating (``@worker.on_message``) or assigning (``worker.on_message = fn``)."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, worker: None, owner: type) -> Callback: ...
    @overload
    def __get__(self, worker: HasCallbacks, owner: type) -> Callable[[F], F]: ...
    def __get__(self, worker: HasCallbacks | None, owner: type) -> Any:
        if worker is None:
            return self

        def register(fn: F) -> F:
            self.__set__(worker, fn)
            return fn

        return register

    def __set__(self, worker: HasCallbacks, fn: Callable[..., Any] | None) -> None:
        if fn is not None and not callable(fn):
            raise TypeError(f"{self._name} takes a function, not {type(fn).__name__}")
        worker.set_callback(self._name, fn)

"""An event whose handler does not simply run and return: it waits, or runs in a thread."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.business.client import Client
    from tidegate.business.link import GatewayLink

__all__ = ["Call", "Job", "name_of"]


class Call:
    """A handler and the event that it is called for.

    Attributes:
        link: on which the event came; None where it was made here.
        number: of the event on the link; 0 where the gateway needs not be told that it is begun.
        coroutine: where the handler is async, its.
    """

    __slots__ = ("client", "command", "coroutine", "fn", "link", "number")

    def __init__(
        self,
        client: Client,
        command: int,
        fn: Callable[..., Any],
        link: GatewayLink | None,
        number: int,
        coroutine: Coroutine[Any, Any, Any] | None = None,
    ) -> None:
        self.client = client
        self.command = command
        self.fn = fn
        self.link = link
        self.number = number
        self.coroutine = coroutine


class Job:
    """One call of a handler.

    Attributes:
        call: what is called for whom.
        args: in a thread, what the handler is called with.
        began: by the monotonic clock.
        is_reported: the log says that it takes long.
    """

    __slots__ = ("args", "began", "call", "is_reported")

    def __init__(self, call: Call, args: tuple[Any, ...] = ()) -> None:
        self.call = call
        self.args = args
        self.began = 0.0
        self.is_reported = False

    def stack(self) -> str:
        """Where the coroutine waits, as a traceback has it."""
        frames: list[tuple[FrameType, int]] = []
        waiting: Any = self.call.coroutine
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
            if frame is None:
                break
            frames.append((frame, frame.f_lineno))
            waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
        return "".join(traceback.StackSummary.extract(iter(frames)).format())


def name_of(fn: Callable[..., Any]) -> str:
    """What a handler is called in the log."""
    return getattr(fn, "__qualname__", None) or repr(fn)

"""`business.sync`: the push API in blocking form, for the threads of a worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tidegate.business.handover import Handover
from tidegate.client.api import PushAPI
from tidegate.client.call import Call

__all__ = ["BlockingPush"]

T = TypeVar("T")


class BlockingPush(PushAPI):
    """Carries calls into the worker's loop, after what the same thread has sent before.

    Args:
        act: sends a command; what it gives waits while too much is queued.
        ask: asks a query.
    """

    __slots__ = ("_act_in_loop", "_ask_in_loop", "_flush_in_loop", "_handover", "_loop")

    def __init__(
        self,
        handover: Handover,
        act: Callable[[Call[None]], Awaitable[None]],
        ask: Callable[[Call[Any]], Coroutine[Any, Any, Any]],
        flush: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self._handover = handover
        self._loop = asyncio.get_running_loop()
        self._act_in_loop = act
        self._ask_in_loop = ask
        self._flush_in_loop = flush

    def _act(self, call: Call[None]) -> None:
        async def act() -> None:
            await self._act_in_loop(call)

        self._run(call.name, act)

    def _ask(self, call: Call[T]) -> T:
        async def ask() -> T:
            result: T = await self._ask_in_loop(call)
            return result

        return self._run(call.name, ask)

    def flush(self) -> None:
        """Return when every gateway has processed all that was sent before.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        self._run("flush", self._flush_in_loop)

    def _run(self, name: str, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if threading.get_ident() == self._handover.thread:
            raise RuntimeError(f"sync.{name} would block the worker's loop: await {name} of the worker itself there")
        return asyncio.run_coroutine_threadsafe(make(), self._loop).result()

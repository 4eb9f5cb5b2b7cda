"""The push API for event loops in coroutine functions: nothing happens until what they give is awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.client.api.awaited import AsyncPushAPI

__all__ = ["CoroutinePushAPI"]


class CoroutinePushAPI(AsyncPushAPI):
    """All methods are coroutine functions, also to those who look, such as task queues that put others in threads."""

    __slots__ = ()


def _coroutine_function(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def method(*args: Any, **options: Any) -> Any:
        return await function(*args, **options)

    return method


for _name, _function in inspect.getmembers(AsyncPushAPI, inspect.isfunction):
    if not _name.startswith("_") and _name not in AsyncPushAPI.__abstractmethods__:
        setattr(CoroutinePushAPI, _name, _coroutine_function(_function))

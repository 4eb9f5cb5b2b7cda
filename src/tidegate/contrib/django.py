"""Django: `push` and `apush`, push clients set up by ``settings.TIDEGATE``.

    TIDEGATE = {"CLUSTER": "127.0.0.1:1236", "SECRET_KEY": os.environ["TIDEGATE_SECRET_KEY"]}

CLUSTER, SECRET_KEY, CLUSTER_SSL, CONNECT_TIMEOUT and TIMEOUT are the parameters of `GatewayClient`, each may be left
out. The clients are made when they are first used, so that they can be imported anywhere, and again when a test
overrides the setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

try:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.signals import setting_changed
except ModuleNotFoundError as error:
    raise ImportError("tidegate.contrib.django needs Django: pip install django") from error

from tidegate.client.api import CoroutinePushAPI, PushAPI
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.client.blocking import GatewayClient
from tidegate.client.call import Call
from tidegate.errors import ConfigurationError

__all__ = ["apush", "push"]

T = TypeVar("T")
C = TypeVar("C", GatewayClient, AsyncGatewayClient)

OPTIONS = {
    "CLUSTER": "cluster",
    "SECRET_KEY": "secret_key",
    "CLUSTER_SSL": "cluster_ssl",
    "CONNECT_TIMEOUT": "connect_timeout",
    "TIMEOUT": "timeout",
}


def _make(kind: type[C]) -> C:
    """Make a client as the setting says.

    Raises:
        ImproperlyConfigured: it can't be used.
    """
    given = getattr(settings, "TIDEGATE", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured(
            f"settings.TIDEGATE is of type {type(given).__name__}: "
            "it takes a dict such as {'CLUSTER': '127.0.0.1:1236', 'SECRET_KEY': '…'}"
        )
    unknown = [repr(name) for name in given if name not in OPTIONS]
    if unknown:
        raise ImproperlyConfigured(f"settings.TIDEGATE has no {', '.join(unknown)}: it takes {', '.join(OPTIONS)}")
    try:
        return kind(**{OPTIONS[name]: value for name, value in given.items()})
    except (ConfigurationError, TypeError) as error:
        raise ImproperlyConfigured(f"settings.TIDEGATE can't be used: {error}") from error


class Push(PushAPI):
    """One `GatewayClient` a process: its threads share it, and those forked from it go on with it."""

    def __init__(self) -> None:
        self._made: dict[str, GatewayClient] = {}  # at most one: without a lock, which a fork might leave locked

    def flush(self) -> None:
        """Return when every gateway has processed all that was sent before, by all threads.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        self._client().flush()

    def reset(self) -> None:
        """Close the client; the next call makes another."""
        client = self._made.pop("client", None)
        if client is not None:
            client.close()

    def _act(self, call: Call[None]) -> None:
        self._client()._act(call)

    def _ask(self, call: Call[T]) -> T:
        return self._client()._ask(call)

    def _client(self) -> GatewayClient:
        client = self._made.get("client")
        return client if client is not None else self._made.setdefault("client", _make(GatewayClient))


class AsyncPush(CoroutinePushAPI):
    """One `AsyncGatewayClient` an event loop, closed when the loop ends.

    An ASGI server has one loop; under WSGI every call of an async view has its own.
    """

    def __init__(self) -> None:
        self._made: dict[asyncio.AbstractEventLoop, tuple[AsyncGatewayClient, AsyncGenerator[None]]] = {}

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before in this loop.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        await (await self._client()).flush()

    def reset(self) -> None:
        """Have the clients closed; the next call in a loop makes another."""
        self._made.clear()

    async def _act(self, call: Call[None]) -> None:
        await (await self._client())._act(call)

    async def _ask(self, call: Call[T]) -> T:
        return await (await self._client())._ask(call)

    async def _client(self) -> AsyncGatewayClient:
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is not None:
            return made[0]
        for each in list(self._made):
            if each.is_closed():  # by somebody who did not end its generators
                self._made.pop(each, None)
        client = _make(AsyncGatewayClient)
        life = self._live(loop, client)
        self._made[loop] = client, life
        await anext(life)
        return client

    async def _live(self, loop: asyncio.AbstractEventLoop, client: AsyncGatewayClient) -> AsyncGenerator[None]:
        """A client's life: a loop that ends closes its asynchronous generators, and this one closes the client."""
        try:
            yield
        finally:
            if self._made.get(loop, (None,))[0] is client:
                del self._made[loop]
            await client.aclose()


push = Push()
apush = AsyncPush()


def _changed(*, setting: str, **_: Any) -> None:
    if setting == "TIDEGATE":
        push.reset()
        apush.reset()


setting_changed.connect(_changed, dispatch_uid="tidegate")

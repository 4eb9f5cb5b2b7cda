"""`Server`: what the members of an app have in common that listen on an address.

It opens and closes; what is done with connections is its children's affair.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar

from tidegate.net.address import Address
from tidegate.net.admission import Admission
from tidegate.net.certificates import Certificates
from tidegate.net.connection import Connection
from tidegate.net.datagrams import Datagrams
from tidegate.net.descriptors import Reserve
from tidegate.net.endpoint import Callbacks, Endpoint
from tidegate.net.listener import Door, Listener
from tidegate.net.sockets import local_address
from tidegate.process import context
from tidegate.process.member import Stop
from tidegate.process.plan import Plan

__all__ = ["Server", "default_name"]

logger = logging.getLogger("tidegate")

POLL_SECONDS = 0.01
HASTY_SECONDS = 1.0
"""That a handshake under way has at a stop, and clients have to answer a goodbye where it is not graceful."""


class ServerSettings(Protocol):
    """What the settings of each have."""

    @property
    def count(self) -> int: ...
    @property
    def reuse_port(self) -> bool: ...
    @property
    def reloadable(self) -> bool: ...
    @property
    def drain_seconds(self) -> float: ...


S = TypeVar("S", bound=ServerSettings)


class Server(Generic[S]):
    """Listens on an address.

    Attributes:
        name: unique in its app.
        id: of this process among the server's, from 0.
        address: with the port that it really has, once it listens; None where it only works.
    """

    def __init__(self, address: Address | None, name: str) -> None:
        self.address = address
        self.name = name
        self.id = 0
        self._callbacks = Callbacks()
        self._endpoint: Endpoint | None = None
        self._listeners: list[Listener | Datagrams] = []
        self._tls: Certificates | None = None
        self._drain_seconds = 0.0
        self._is_stopping = False

    @property
    def connections(self) -> Mapping[int, Connection]:
        """The open connections by id."""
        return MappingProxyType(self._endpoint.connections if self._endpoint else {})

    # What children say

    def settings(self, config: Mapping[str, Any]) -> S:
        """What holds for it: from code, environment, TOML and defaults.

        Raises:
            ConfigurationError: for what can't be.
        """
        raise NotImplementedError

    def _plan(self, settings: S) -> Plan:
        """How connections are made."""
        raise NotImplementedError

    async def _opening(self, settings: S) -> None:
        """Make ready: the address is had, and nobody taken there yet. What fails here fails the start."""

    async def _serve(self, endpoint: Endpoint, sockets: Sequence[socket.socket], settings: S, plan: Plan) -> None:  # noqa: ARG002
        """Take connections from now on."""
        self._accept(endpoint, sockets, plan, admits=endpoint.admits, proxy_protocol=plan.gate.proxy_protocol)

    def _accept(self, door: Door, sockets: Sequence[socket.socket], plan: Plan, **more: Any) -> None:
        """Take them for this one; `more` are parameters of `Listener`."""
        listener = Listener(
            door,
            sockets,
            plan.tls.context if plan.tls is not None else None,
            handshake_seconds=plan.limits.handshake_seconds,
            max_handshakes=plan.limits.max_handshakes,
            reserve=Reserve(),
            **more,
        )
        self._listeners.append(listener)

    async def _stopping(self, stop: Stop) -> None:
        """Whoever sends clients here is told that nobody new is taken from now on; what is under way goes on, and is
        waited for after this."""

    async def _leaving(self, stop: Stop) -> None:
        """The connections are about to be closed; what is sent to them here arrives before the goodbye."""

    async def _closed(self, stop: Stop) -> None:
        """Let go of what `_opening` made, be it half: connections are closed, and their `on_close` has been called.

        It is called also where the start failed, with no time left.
        """

    # Running

    async def listen(self) -> Self:
        """Listen, in the running process.

        Raises:
            AddressError: where the address can't be had.
        """
        if self._endpoint is not None:
            raise RuntimeError(f"{self.name!r} listens already")
        process = context.current()
        settings = self.settings(process.config)
        self._drain_seconds = settings.drain_seconds
        plan = self._plan(settings)
        self._endpoint = endpoint = Endpoint(
            self.name,
            plan.make_codec,
            self._callbacks,
            plan.limits,
            self,
            connection_class=plan.connection_class,
            ids=plan.ids,
            gate=plan.gate,
            is_http=plan.answers_http,
        )
        if plan.tls is not None:
            self._tls = plan.tls
            endpoint.reactor.sweepers.append(plan.tls.look)
        if plan.origins is not None or plan.judge is not None:
            endpoint.admission = Admission(endpoint, plan.origins, plan.judge, plan.judged_at_once)
        asked = self.address
        sockets: list[socket.socket] = []
        try:
            if self.address is not None:
                sockets = await process.listen(self.address, settings.reuse_port)
                self.address = local_address(self.address, sockets[0])
            await self._opening(settings)
            await self._serve(endpoint, sockets, settings, plan)
        except BaseException:
            for listener in self._listeners:
                listener.close()
            for sock in sockets:
                sock.close()
            if sockets and self.address is not None:
                process.left(self.address)
            self.address = asked
            try:
                await self._attempt(self._closed(Stop(seconds=0)))
            finally:
                self._end()
            raise
        process.running.append(self)
        return self

    async def stop(
        self,
        *,
        graceful: bool = False,
        seconds: float = 5,
        code: int = 1001,
        reason: str = "the server stops",
        reload: bool = False,
        whole: bool = False,
    ) -> None:
        """Stop listening, and close the connections.

        Args:
            graceful: let callbacks under way come to their end first.
            seconds: that all of it may take.
            code: a WebSocket close code for the clients.
            reason: for them too.
            reload: a successor serves already, or is about to start.
            whole: the entire app stops.
        """
        endpoint = self._endpoint
        if endpoint is None or self._is_stopping:
            return
        self._is_stopping = True
        stop = Stop(graceful, seconds, code, reason, reload, whole)
        await self._attempt(self._stopping(stop))
        for listener in self._listeners:
            listener.close()
        await self._finish_work(endpoint, stop)
        await self._attempt(self._leaving(stop))
        await self._close_connections(endpoint, stop)
        await self._attempt(self._closed(stop))
        process = context.current()
        process.running.remove(self)
        if self.address is not None:
            process.left(self.address)
        self._end()

    async def _finish_work(self, endpoint: Endpoint, stop: Stop) -> None:
        """Wait for those who are being let in, and for callbacks."""
        if not stop.graceful:
            for connection in endpoint.connections.values():
                connection.drop_messages()
            for task in tuple(endpoint.tasks):
                task.cancel()
        # Whoever is being let in is told why, as those who are in.
        await _until(
            lambda: not endpoint.opening and not any(listener.busy for listener in self._listeners),
            stop.begun + HASTY_SECONDS,
        )
        await _until(lambda: not endpoint.tasks, stop.begun + (stop.seconds / 2 if stop.graceful else HASTY_SECONDS))

    async def _close_connections(self, endpoint: Endpoint, stop: Stop) -> None:
        await self._say_goodbye(tuple(endpoint.connections.values()), stop)
        for connection in tuple(endpoint.connections.values()):  # who came in last
            connection.close(code=stop.code, reason=stop.reason)
        patience = stop.deadline if stop.graceful else min(stop.deadline, time.monotonic() + HASTY_SECONDS)
        await _until(lambda: not endpoint.connections and not endpoint.tasks, patience)
        tables = (endpoint.opening, endpoint.closing, endpoint.lingering)
        for connection in (*endpoint.connections.values(), *itertools.chain(*tables)):
            connection.destroy()
        for task in tuple(endpoint.tasks):
            task.cancel()
        for listener in self._listeners:
            listener.abandon()
        # What was destroyed calls on_close in the loop's next turn, after what was cancelled.
        await _until(lambda: not endpoint.connections and not endpoint.tasks, time.monotonic() + HASTY_SECONDS)

    async def _say_goodbye(self, connections: Sequence[Connection], stop: Stop) -> None:
        """Close connections; at a graceful stop spread over a while, so that their clients don't come back at once."""
        seconds = 0.0
        if stop.graceful and not stop.reload:
            seconds = min(self._drain_seconds, max(0.0, stop.seconds_left - HASTY_SECONDS))
        begun = time.monotonic()
        for position, connection in enumerate(connections):
            pause = begun + seconds * position / len(connections) - time.monotonic()
            if pause > 0:
                await asyncio.sleep(max(pause, POLL_SECONDS))
            connection.close(code=stop.code, reason=stop.reason)

    async def _attempt(self, step: Awaitable[None]) -> None:
        """A step of stopping; those that follow are done in any case."""
        try:
            await step
        except Exception:
            logger.exception("%s: a step of its stop failed", self.name)

    def _end(self) -> None:
        if self._endpoint is not None:
            if self._tls is not None:
                self._endpoint.reactor.sweepers.remove(self._tls.look)
            self._endpoint.release()
        self._endpoint, self._listeners, self._tls, self._is_stopping = None, [], None, False

    async def reloading(self) -> None:
        """The app is being reloaded."""
        if self._tls is not None:
            self._tls.renew()

    # What the supervisor asks

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Its row of the app's topology."""
        settings = self.settings(config)
        drain = {"drain_seconds": settings.drain_seconds} if settings.drain_seconds else {}
        return {
            "name": self.name,
            "kind": type(self).__name__,
            "listen": str(self.address) if self.address else None,
            "count": settings.count,
            "reuse_port": settings.reuse_port,
            "reloadable": settings.reloadable,
            **drain,
        }

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process."""
        assert self._endpoint is not None
        return {
            "name": self.name,
            "listen": str(self.address or ""),
            "connections": len(self._endpoint.connections),
            **self._endpoint.stats.as_dict(),
        }

    def connection_rows(self, limit: int) -> list[dict[str, Any]]:
        """Some of its connections, for people."""
        assert self._endpoint is not None
        return [
            {
                "worker": self.name,
                "id": connection.id,
                "remote": f"{connection.remote_ip}:{connection.remote_port}",
                "listen": str(self.address or ""),
                "idle": connection.idle_seconds,
                "queued": connection.queued_bytes,
            }
            for connection in itertools.islice(self._endpoint.connections.values(), max(0, limit))
        ]


def default_name(address: Address) -> str:
    """What a server is called that was given no name."""
    return f"{address.scheme}-{address.port or address.path.strip('/').replace('/', '-') or 0}"


async def _until(done: Callable[[], bool], deadline: float) -> None:
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - for conditions that nothing announces
        await asyncio.sleep(POLL_SECONDS)

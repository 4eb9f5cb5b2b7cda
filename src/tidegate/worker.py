"""`Worker`: listens on an address and calls back for what its clients do."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from tidegate.errors import ConfigurationError
from tidegate.net.address import parse_address
from tidegate.net.asgi import ASGIServer
from tidegate.net.connection import Connection
from tidegate.net.datagrams import Datagrams
from tidegate.net.endpoint import Callbacks, Endpoint, Limits
from tidegate.net.fanout import fan_out
from tidegate.net.listener import Listener
from tidegate.net.outbox import Sendable
from tidegate.net.sockets import local_address
from tidegate.net.tls import TLS, make_context
from tidegate.process import context
from tidegate.process.settings import WorkerSettings, resolve
from tidegate.protocols import Codec, CustomCodec, Frame, Raw, Text, WebSocket

__all__ = ["Worker"]

logger = logging.getLogger("tidegate")

F = TypeVar("F", bound=Callable[..., Any])

POLL_SECONDS = 0.01
HASTY_SECONDS = 1.0
"""That a handshake under way has at a stop, and clients have to answer a goodbye where it is not graceful."""


class Callback:
    """A worker's callback, set by decorating (``@worker.on_message``) or assigning (``worker.on_message = fn``)."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, worker: None, owner: type) -> Callback: ...
    @overload
    def __get__(self, worker: Worker, owner: type) -> Callable[[F], F]: ...
    def __get__(self, worker: Worker | None, owner: type) -> Any:
        if worker is None:
            return self

        def register(fn: F) -> F:
            self.__set__(worker, fn)
            return fn

        return register

    def __set__(self, worker: Worker, fn: Callable[..., Any] | None) -> None:
        if fn is not None and not callable(fn):
            raise TypeError(f"{self._name} takes a function, not {type(fn).__name__}")
        worker.set_callback(self._name, fn)


class Worker:
    """Processes that listen on an address. Any attribute may be set on it.

    Args:
        address: such as ``websocket://0.0.0.0:7272``; None for processes that only work, with timers say.
        name: unique in its app; made from the address unless given.
        count: processes.
        protocol: a codec class with ``feed(data) -> list[message]`` and ``encode(message) -> bytes``, for ``tcp://``
            and ``unix://`` addresses.
        app: an ASGI app, for ``http://`` addresses.
        reuse_port: let other programs, and other processes of this app, listen on the same port.
        ssl: an SSLContext, or a pair of file paths: certificate and key.
        encoding: of messages that are text; without one, ``tcp://``, ``frame://`` and ``udp://`` give `bytes`.
        compression: negotiate permessage-deflate with WebSocket clients.
        subprotocols: WebSocket subprotocols that are spoken here.
        max_message_size: bytes; 1 MiB for WebSocket and 10 MiB for other protocols unless given.
        send_buffer_limit: bytes that may wait for a client.
        slow_consumer: over that the client is closed, or with "drop" its new messages are dropped.
        handshake_timeout: seconds.
        close_timeout: seconds that `Connection.close` waits for the client.
        reloadable: `reload` replaces its processes; otherwise it only calls their `on_worker_reload`.

    Attributes:
        id: of this process among the worker's, from 0.
        connections: the open ones by id.
        address: with the port that it really has, once it listens.
    """

    if TYPE_CHECKING:  # users' own attributes

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    on_worker_start = Callback()
    on_connect = Callback()
    on_message = Callback()
    on_close = Callback()
    on_error = Callback()
    on_buffer_full = Callback()
    on_buffer_drain = Callback()
    on_worker_stop = Callback()
    on_worker_reload = Callback()

    def __init__(
        self,
        address: str | None = None,
        *,
        name: str | None = None,
        count: int | None = None,
        protocol: Callable[[], Any] | None = None,
        app: Any = None,
        reuse_port: bool | None = None,
        ssl: TLS | None = None,
        encoding: str | None = None,
        compression: bool | None = None,
        subprotocols: Sequence[str] | None = None,
        max_message_size: int | None = None,
        send_buffer_limit: int | None = None,
        slow_consumer: Literal["close", "drop"] | None = None,
        handshake_timeout: int | None = None,
        close_timeout: int | None = None,
        reloadable: bool | None = None,
    ) -> None:
        self.address = parse_address(address) if address is not None else None
        self.name = name or _default_name(self.address)
        self.id = 0
        self._protocol = protocol
        self._app = app
        self._given = {
            "count": count,
            "reuse_port": reuse_port,
            "ssl": ssl,
            "encoding": encoding,
            "compression": compression,
            "subprotocols": subprotocols,
            "max_message_size": max_message_size,
            "send_buffer_limit": send_buffer_limit,
            "slow_consumer": slow_consumer,
            "handshake_timeout": handshake_timeout,
            "close_timeout": close_timeout,
            "reloadable": reloadable,
        }
        self._callbacks = Callbacks()
        self._process_callbacks: dict[str, Callable[..., Any] | None] = {}
        self._endpoint: Endpoint | None = None
        self._listeners: list[Listener | Datagrams] = []
        self._stopping = False
        self._server: ASGIServer | None = None
        self._check_address()

    def _check_address(self) -> None:
        scheme = self.address.scheme if self.address else None
        if self._app is not None and scheme != "http":
            raise ConfigurationError(f"worker {self.name!r}: app= needs an http:// address")
        if self._app is None and scheme == "http":
            raise ConfigurationError(f"worker {self.name!r}: an http:// address needs an ASGI app: app=…")
        if self._protocol is not None and scheme not in ("tcp", "unix"):
            raise ConfigurationError(f"worker {self.name!r}: protocol= needs a tcp:// or unix:// address")

    @property
    def connections(self) -> Mapping[int, Connection]:
        """The open connections by id."""
        return MappingProxyType(self._endpoint.connections if self._endpoint else {})

    def broadcast(self, data: Sendable, exclude: Collection[int] = ()) -> int:
        """Send to all open connections of this process but those with the ids to exclude; gives how many took it."""
        members = self.connections
        if not exclude:
            return fan_out(members.values(), data)
        return fan_out((member for id, member in members.items() if id not in exclude), data)

    def set_callback(self, name: str, fn: Callable[..., Any] | None) -> None:
        """Set a callback by its name."""
        if name.startswith("on_worker"):
            self._process_callbacks[name] = fn
        else:
            setattr(self._callbacks, name, fn)

    def settings(self, config: Mapping[str, Any]) -> WorkerSettings:
        """What holds for it: from code, environment, TOML and defaults.

        Raises:
            ConfigurationError: for what can't be.
        """
        settings = resolve(WorkerSettings, self.name, self._given, config)
        if settings.ssl is not None:
            make_context(settings.ssl)
        return settings

    # Running

    async def listen(self) -> Worker:
        """Listen, in the running process: `on_worker_start`, then connections.

        Raises:
            AddressError: where the address can't be had.
        """
        if self._endpoint is not None:
            raise RuntimeError(f"worker {self.name!r} listens already")
        process = context.current()
        settings = self.settings(process.config)
        self._endpoint = Endpoint(self.name, self._codec_maker(settings), self._callbacks, _limits(settings), self)
        asked = self.address
        sockets: list[socket.socket] = []
        try:
            if self.address is not None:
                sockets = await process.listen(self.address, settings.reuse_port)
                self.address = local_address(self.address, sockets[0])
            await self._call("on_worker_start")
            tls = make_context(settings.ssl) if settings.ssl is not None else None
            if self._app is not None:
                self._server = ASGIServer(self._app, tls)
                await self._server.start(sockets)
            elif self.address is not None and self.address.scheme == "udp":
                for sock in sockets:
                    self._listeners.append(await Datagrams.open(self._endpoint, sock, settings.encoding))
            else:
                self._listeners.append(Listener(self._endpoint, sockets, tls))
        except BaseException:
            for listener in self._listeners:
                listener.close()
            for sock in sockets:
                sock.close()
            if sockets and self.address is not None:
                process.left(self.address)
            self.address = asked
            self._end()
            raise
        process.running.append(self)
        return self

    async def stop(
        self, *, graceful: bool = False, seconds: float = 5, code: int = 1001, reason: str = "the server stops"
    ) -> None:
        """Stop listening, call `on_worker_stop`, and close the connections.

        Args:
            graceful: let callbacks under way come to their end first.
            seconds: that all of it may take.
            code: a WebSocket close code for the clients.
            reason: for them too.
        """
        endpoint, listeners = self._endpoint, tuple(self._listeners)
        if endpoint is None or self._stopping:
            return
        self._stopping = True
        start = time.monotonic()
        deadline = start + seconds
        for listener in listeners:
            listener.close()
        if not graceful:
            for connection in endpoint.connections.values():
                connection.drop_messages()
            for task in tuple(endpoint.tasks):
                task.cancel()
        # Whoever is being let in is told why, as those who are in.
        await _until(
            lambda: not endpoint.opening and not any(listener.busy for listener in listeners), start + HASTY_SECONDS
        )
        await _until(lambda: not endpoint.tasks, start + (seconds / 2 if graceful else HASTY_SECONDS))
        try:
            await self._call("on_worker_stop")
        except Exception:
            logger.exception("%s: on_worker_stop failed", self.name)
        for connection in tuple(endpoint.connections.values()):
            connection.close(code=code, reason=reason)
        if self._server is not None:
            await self._server.stop(max(0.0, deadline - time.monotonic()))
        patience = deadline if graceful else min(deadline, time.monotonic() + HASTY_SECONDS)
        await _until(lambda: not endpoint.connections and not endpoint.tasks, patience)
        tables = (endpoint.opening, endpoint.closing, endpoint.lingering)
        for connection in (*endpoint.connections.values(), *itertools.chain(*tables)):
            connection.destroy()
        for task in tuple(endpoint.tasks):
            task.cancel()
        for listener in listeners:
            listener.abandon()
        # What was destroyed calls on_close in the loop's next turn, after what was cancelled.
        await _until(lambda: not endpoint.connections and not endpoint.tasks, time.monotonic() + HASTY_SECONDS)
        process = context.current()
        process.running.remove(self)
        if self.address is not None:
            process.left(self.address)
        self._end()

    def _end(self) -> None:
        if self._endpoint is not None:
            self._endpoint.release()
        self._endpoint, self._listeners, self._server, self._stopping = None, [], None, False

    async def reloading(self) -> None:
        """Call `on_worker_reload`."""
        await self._call("on_worker_reload")

    async def _call(self, name: str) -> None:
        callback = self._process_callbacks.get(name)
        if callback is not None:
            result = callback(self)
            if inspect.isawaitable(result):
                await result

    def _codec_maker(self, settings: WorkerSettings) -> Callable[[], Codec]:
        scheme = self.address.scheme if self.address else "tcp"
        encoding = settings.encoding
        size = {"max_message_size": settings.max_message_size} if settings.max_message_size else {}
        protocol = self._protocol
        if protocol is not None:
            if isinstance(protocol, type) and issubclass(protocol, Raw):
                return lambda: Raw(encoding)
            if isinstance(protocol, type) and issubclass(protocol, Text | Frame):
                kind = protocol
                return lambda: kind(**size, encoding=encoding)
            if isinstance(protocol, type) and issubclass(protocol, WebSocket):
                scheme = "websocket"
            else:
                make: Callable[[], Any] = protocol
                return lambda: CustomCodec(make(), **size)
        match scheme:
            case "websocket":
                compression, subprotocols = settings.compression, settings.subprotocols
                return lambda: WebSocket(**size, compression=compression, subprotocols=subprotocols)
            case "text":
                return lambda: Text(**size, encoding=encoding)
            case "frame":
                return lambda: Frame(**size, encoding=encoding)
            case _:
                return lambda: Raw(encoding)

    # What the supervisor asks

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Its part of the app's topology."""
        settings = self.settings(config)
        return {
            "name": self.name,
            "kind": type(self).__name__,
            "listen": str(self.address) if self.address else None,
            "count": settings.count,
            "reuse_port": settings.reuse_port,
            "reloadable": settings.reloadable,
        }

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process."""
        assert self._endpoint is not None
        counters: dict[str, Any] = self._endpoint.stats.as_dict()
        connections = len(self._endpoint.connections)
        if self._server is not None:
            connections = self._server.connections
            counters["messages_in"] = counters["messages_out"] = self._server.requests
        return {"name": self.name, "listen": str(self.address or ""), "connections": connections, **counters}

    def connection_rows(self, limit: int) -> list[dict[str, Any]]:
        """Some of its connections, for people."""
        assert self._endpoint is not None
        rows: list[dict[str, Any]] = []
        for connection in self._endpoint.connections.values():
            if len(rows) == limit:
                break
            rows.append(
                {
                    "worker": self.name,
                    "id": connection.id,
                    "remote": f"{connection.remote_ip}:{connection.remote_port}",
                    "listen": str(self.address or ""),
                    "idle": connection.idle_seconds,
                    "queued": connection.queued_bytes,
                }
            )
        return rows


def _default_name(address: Any) -> str:
    if address is None:
        return "worker"
    return f"{address.scheme}-{address.port or address.path.strip('/').replace('/', '-') or 0}"


def _limits(settings: WorkerSettings) -> Limits:
    return Limits(
        send_buffer_limit=settings.send_buffer_limit,
        slow_consumer=cast("Literal['close', 'drop']", settings.slow_consumer),
        handshake_seconds=settings.handshake_timeout,
        close_seconds=settings.close_timeout,
    )


async def _until(done: Callable[[], bool], deadline: float) -> None:
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110 - for conditions that nothing announces
        await asyncio.sleep(POLL_SECONDS)

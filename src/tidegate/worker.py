"""`Worker`: listens on an address and calls back for what its clients do."""

from __future__ import annotations

import inspect
import logging
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tidegate.errors import ConfigurationError
from tidegate.net.address import parse_address
from tidegate.net.asgi import ASGIServer
from tidegate.net.audience import publish
from tidegate.net.datagrams import Datagrams
from tidegate.net.endpoint import Endpoint
from tidegate.net.outbox import Sendable
from tidegate.net.tls import TLS, make_context
from tidegate.process.callback import Callback
from tidegate.process.member import Stop
from tidegate.process.plan import Plan, check_handshake
from tidegate.process.server import Server, default_name
from tidegate.process.settings import WorkerSettings, given_in, resolve

__all__ = ["Worker"]

logger = logging.getLogger("tidegate")


class Worker(Server[WorkerSettings]):
    """Processes that listen on an address. Any attribute may be set on it.

    Args:
        address: such as ``websocket://0.0.0.0:7272``; None for processes that only work, with timers say.
        name: unique in its app; made from the address unless given.
        count: processes.
        protocol: a codec class with ``feed(data) -> list[message]`` and ``encode(message) -> bytes``, for ``tcp://``
            and ``unix://`` addresses.
        app: an ASGI app, for ``http://`` addresses.
        reuse_port: let other programs, and other processes of this app, listen on the same port.
        ssl: an SSLContext, or a pair of file paths: certificate and key, which are read again when they change.
        encoding: of messages that are text; without one, ``tcp://``, ``frame://`` and ``udp://`` give `bytes`.
        compression: negotiate permessage-deflate with WebSocket clients.
        subprotocols: WebSocket subprotocols that are spoken here.
        origins: of the web pages that may connect, as ``https://example.com`` or ``https://*.example.com``, for
            ``websocket://`` addresses; others get 403. Who is no browser sends none, and is let in.
        max_message_size: bytes; 1 MiB for WebSocket and 10 MiB for other protocols unless given.
        send_buffer_limit: bytes that may wait for a client.
        slow_consumer: over that the client is closed, or with "drop" its new messages are dropped.
        handshake_timeout: seconds.
        close_timeout: seconds that `Connection.close` waits for the client.
        max_connections: of a process, those being opened among them; 0 is no bound. Over it browsers get a 503.
        max_connections_per_ip: the same from one IPv4 address, or from one IPv6 network of 64 bits; 0 is no bound.
        max_handshakes: connections that are being opened; over it the oldest of them is closed.
        max_request_size: bytes of a WebSocket handshake's request.
        max_messages_per_second, max_bytes_per_second: that a client may send, twice as much at once after it was quiet;
            0 is no bound.
        over_rate: over that reading from it pauses until it may send more, or with "close" it is closed with 1008.
        trusted_proxies: addresses and networks, such as ``10.0.0.0/8``, whose ``X-Forwarded-For`` or ``Forwarded`` says
            where a client comes from.
        proxy_protocol: each connection begins with a PROXY header, of version 1 or 2, which says that.
        drain_seconds: over which a graceful stop spreads the ends of its connections, so that their clients do not all
            come back at once; 0 is at once.
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
        origins: Sequence[str] | None = None,
        max_message_size: int | None = None,
        send_buffer_limit: int | None = None,
        slow_consumer: Literal["close", "drop"] | None = None,
        handshake_timeout: int | None = None,
        close_timeout: int | None = None,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes: int | None = None,
        max_request_size: int | None = None,
        max_messages_per_second: int | None = None,
        max_bytes_per_second: int | None = None,
        over_rate: Literal["pause", "close"] | None = None,
        trusted_proxies: Sequence[str] | None = None,
        proxy_protocol: bool | None = None,
        drain_seconds: float | None = None,
        reloadable: bool | None = None,
    ) -> None:
        given = given_in(locals(), WorkerSettings)
        parsed = parse_address(address) if address is not None else None
        super().__init__(parsed, name or (default_name(parsed) if parsed is not None else "worker"))
        self._protocol = protocol
        self._app = app
        self._given = given
        self._process_callbacks: dict[str, Callable[..., Any] | None] = {}
        self._asgi: ASGIServer | None = None
        self._check_address()

    def _check_address(self) -> None:
        scheme = self.address.scheme if self.address else None
        if self._app is not None and scheme != "http":
            raise ConfigurationError(f"worker {self.name!r}: app= needs an http:// address")
        if self._app is None and scheme == "http":
            raise ConfigurationError(f"worker {self.name!r}: an http:// address needs an ASGI app: app=…")
        if self._protocol is not None and scheme not in ("tcp", "unix"):
            raise ConfigurationError(f"worker {self.name!r}: protocol= needs a tcp:// or unix:// address")
        if self._given["origins"] is not None:
            check_handshake(f"worker {self.name!r}: origins=", self.address, self._protocol)

    def broadcast(self, data: Sendable, exclude: Collection[int] = ()) -> int:
        """Send to all open connections of this process but those with the ids to exclude; gives how many took it."""
        endpoint = self._endpoint
        return 0 if endpoint is None else publish(endpoint, endpoint.connections, data, exclude)

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

    def _plan(self, settings: WorkerSettings) -> Plan:
        return Plan.of(self.address, settings, self._protocol)

    # Running

    async def _opening(self, settings: WorkerSettings) -> None:  # noqa: ARG002
        await self._call("on_worker_start")

    async def _serve(
        self, endpoint: Endpoint, sockets: Sequence[socket.socket], settings: WorkerSettings, plan: Plan
    ) -> None:
        if self._app is not None:
            self._asgi = ASGIServer(self._app, endpoint)
            await self._asgi.start()
            self._accept(self._asgi, sockets, plan)
        elif self.address is not None and self.address.scheme == "udp":
            for sock in sockets:
                self._listeners.append(await Datagrams.open(endpoint, sock, settings.encoding))
        else:
            await super()._serve(endpoint, sockets, settings, plan)

    async def _leaving(self, stop: Stop) -> None:
        try:
            await self._call("on_worker_stop")
        except Exception:
            logger.exception("%s: on_worker_stop failed", self.name)
        if self._asgi is not None:
            await self._asgi.stop(stop.seconds_left)

    async def _closed(self, stop: Stop) -> None:  # noqa: ARG002
        self._asgi = None

    async def reloading(self) -> None:
        """Call `on_worker_reload`."""
        await super().reloading()
        await self._call("on_worker_reload")

    async def _call(self, name: str) -> None:
        callback = self._process_callbacks.get(name)
        if callback is not None:
            result = callback(self)
            if inspect.isawaitable(result):
                await result

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process."""
        counters = super().snapshot()
        if self._asgi is not None:
            counters["connections"] = self._asgi.connections
            counters["messages_in"] = counters["messages_out"] = self._asgi.requests
        return counters

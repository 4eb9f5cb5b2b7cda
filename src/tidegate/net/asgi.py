"""An ASGI app, served by uvicorn in the worker's own loop, on connections that a `Listener` takes.

Those that uvicorn would take by itself are thrown away where there are no file descriptors.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.net.endpoint import Endpoint
from tidegate.net.http_guard import Waiting, guarded, throttle, throttled

__all__ = ["ASGIServer"]

MAX_HEAD = 128 * 1024
"""Bytes of a request's first line and headers; uvicorn keeps to a limit only with h11."""

TICKS = 10
"""Of uvicorn's server in a second."""


class ASGIServer:
    """Serves an app until it is stopped; a `Door` once it has started.

    Args:
        app: an ASGI app.
        endpoint: whose connections they are, for logs and counters.

    Raises:
        ConfigurationError: where uvicorn is not installed.
    """

    def __init__(self, app: Any, endpoint: Endpoint) -> None:
        try:
            import uvicorn
        except ImportError:
            raise ConfigurationError(
                "an http:// address is served by uvicorn, which is not installed: pip install 'tidegate[http]'"
            ) from None

        self.name = endpoint.name
        self.stats = endpoint.stats
        self.throttle = endpoint.throttle
        waiting = Waiting(endpoint.stats)

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield  # signals are the worker's

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                try:
                    await super().startup(sockets)
                except SystemExit:  # whether the process ends is the worker's to decide
                    self.should_exit = True

            async def on_tick(self, counter: int) -> bool:
                if counter % TICKS == 0:
                    waiting.sweep()
                    throttle.flush()
                return await super().on_tick(counter)

        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="auto",
            ws="none",
            http=guarded(waiting),
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        config.load()
        log = logging.getLogger("uvicorn.error")
        log.setLevel(logging.WARNING)  # starting and stopping is told elsewhere
        log.addFilter(throttled)
        self._server = Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have the app make ready.

        Raises:
            RuntimeError: where the app's startup failed; uvicorn has logged why.
        """
        self._task = asyncio.create_task(self._server.serve([]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the ASGI app did not start")
            await asyncio.sleep(0.01)

    def make_connection(self, sock: socket.socket | None) -> asyncio.Protocol:  # noqa: ARG002
        """Make one of what a listener has taken."""
        server = self._server
        protocol: asyncio.Protocol = server.config.http_protocol_class(  # type: ignore[call-arg]
            config=server.config, server_state=server.server_state, app_state=server.lifespan.state
        )
        return protocol

    def give_up(self, connection: Any) -> None:
        """Nothing has to be done about one that was made and never connected."""

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._server.server_state.connections)

    @property
    def requests(self) -> int:
        """Requests answered since the start."""
        return self._server.server_state.total_requests

    async def stop(self, seconds: float) -> None:
        """Answer what is under way, for so many seconds at the most, and end."""
        if self._task is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, int(seconds))
        self._server.should_exit = True
        await self._task

"""A WebSocket client for tests: what does not come in time, or comes without being expected, is an error."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tidegate.errors import TidegateError

__all__ = ["ClientClosedError", "NoMessageError", "WebSocketClient", "open_client"]

CLOSE_SECONDS = 1.0
MAX_WAITING = 10_000
"""Messages that are not received yet, over which the client reads no more; as much again is about what sockets hold."""
ELIDED = 200


class NoMessageError(TidegateError, TimeoutError):
    """A message, or the end of the connection, did not come in time."""


class ClientClosedError(TidegateError, ConnectionError):
    """The connection ended where a message was expected.

    Attributes:
        code: the WebSocket close code; 1006 where it broke off (RFC 6455 section 7.1.5).
        reason: what the other side said.
    """

    def __init__(self, code: int, reason: str) -> None:
        said = f", reason {reason!r}" if reason else ""
        super().__init__(f"no message: the connection was closed with {code}{said}")
        self.code = code
        self.reason = reason


class WebSocketClient:
    """A client of a gateway, as a browser is: it answers pings by itself.

    Attributes:
        client_id: by which the cluster knows it.
        subprotocol: that the gateway chose; None without.
    """

    def __init__(self, websocket: ClientConnection, client_id: str) -> None:
        self._websocket = websocket
        self.client_id = client_id
        self.subprotocol = cast("str | None", websocket.subprotocol)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<WebSocketClient {self.client_id}>"

    @property
    def close_code(self) -> int | None:
        """With what the connection was closed; None while it is open."""
        return self._websocket.close_code

    @property
    def close_reason(self) -> str | None:
        """What was said at it; None while it is open."""
        return self._websocket.close_reason

    async def send(self, message: str | bytes) -> None:
        """Send text, or bytes as a binary message.

        Raises:
            ClientClosedError: there is no connection any more.
        """
        try:
            await self._websocket.send(message)
        except ConnectionClosed:
            raise self._closed() from None

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON text."""
        await self.send(json.dumps(value))

    async def receive(self, timeout: float = 5) -> str | bytes:  # noqa: ASYNC109 - so that it reads well in a test
        """Give the next message, text or binary.

        Raises:
            NoMessageError: none came within ``timeout`` seconds.
            ClientClosedError: the connection ended, and all that came before was received.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._websocket.recv()
        except TimeoutError:
            raise NoMessageError(f"no message for {self.client_id} in {timeout} s") from None
        except ConnectionClosed:
            raise self._closed() from None

    async def receive_json(self, timeout: float = 5) -> Any:  # noqa: ASYNC109
        """Give the value of the next message; errors as `receive` has, and ValueError where it is no JSON."""
        return json.loads(await self.receive(timeout))

    async def expect_silence(self, seconds: float = 0.05) -> None:
        """Wait so long, for no message.

        Raises:
            AssertionError: one came; it says which.
            ClientClosedError: the connection ended.
        """
        try:
            message = await self.receive(seconds)
        except NoMessageError:
            return
        shown = repr(message)
        shown = shown if len(shown) <= ELIDED else f"{shown[:ELIDED]}…"
        raise AssertionError(f"no message was expected for {self.client_id}, and {shown} came")

    async def wait_closed(self, timeout: float = 5) -> int:  # noqa: ASYNC109
        """Wait until the other side has closed the connection; gives the close code.

        Raises:
            NoMessageError: it is open still.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._websocket.wait_closed()
        except TimeoutError:
            raise NoMessageError(f"the connection of {self.client_id} was not closed in {timeout} s") from None
        return self._websocket.close_code or 1006

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, and wait for the answer."""
        await self._websocket.close(code, reason)

    def abort(self) -> None:
        """Break off without a goodbye, as a phone does that loses its network."""
        self._websocket.transport.abort()

    async def ping(self) -> None:
        """Return when the gateway has read all that was sent before; at once where the connection has ended."""
        try:
            await (await self._websocket.ping())
        except ConnectionClosed:
            return

    def _closed(self) -> ClientClosedError:
        return ClientClosedError(self._websocket.close_code or 1006, self._websocket.close_reason or "")


async def open_client(
    host: str, port: int, path: str, headers: Mapping[str, str] | None, subprotocols: Sequence[str]
) -> ClientConnection:
    """Connect.

    Raises:
        websockets.exceptions.InvalidHandshake: the gateway refuses.
    """
    loop = asyncio.get_running_loop()
    # A socket of our own, so that a proxy in the environment is passed by.
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, (host, port))
        return await connect(
            f"ws://{host}:{port}{path}",
            sock=sock,
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_size=None,
            max_queue=MAX_WAITING,
        )
    except BaseException:
        sock.close()
        raise

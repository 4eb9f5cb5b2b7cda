"""Requests and answers between the supervisor and a child, over a pair of unix sockets that can carry sockets.

Each message is a JSON object on a line. Either side may ask: ``{"id": 1, "op": "status", …}`` is answered by
``{"re": 1, "result": …}`` or ``{"re": 1, "error": "…"}``; without an id nothing is answered. ``"fds": n`` says that n
file descriptors came along.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidegate.errors import TidegateError

__all__ = ["Channel", "ChannelClosedError", "Handler", "RemoteError", "receive_first", "send_first"]

logger = logging.getLogger("tidegate")

MAX_LINE = 16 * 1024 * 1024
"""Bytes of one message; the longest is a listing of connections."""
MAX_FDS = 64

Handler = Callable[[str, dict[str, Any]], Awaitable[tuple[Any, Sequence[socket.socket]]]]
"""Takes an operation and its parameters; gives a result and sockets to go with it."""


class ChannelClosedError(TidegateError):
    """The other side is gone."""


class RemoteError(TidegateError):
    """The other side could not do what it was asked."""


class Channel:
    """One end. `handle` is called for what the other side asks, `ended` once it is gone."""

    def __init__(self, sock: socket.socket, handle: Handler, ended: Callable[[], None]) -> None:
        self._socket = sock
        self._handle = handle
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[Any, list[int]]]] = {}
        self._incoming = bytearray()
        self._fds: deque[int] = deque()
        self._outgoing: deque[tuple[bytes, Sequence[socket.socket]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = True
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._read)

    @property
    def is_open(self) -> bool:
        """Whether neither side has ended it, as far as is known."""
        return self._open

    async def request(self, op: str, sockets: bool = False, **parameters: Any) -> Any:
        """Ask, and wait for the answer.

        Args:
            sockets: the answer is the sockets that came with it.

        Raises:
            ChannelClosedError: the other side is gone.
            RemoteError: it says why not.
        """
        number = next(self._ids)
        future = self._waiting[number] = self._loop.create_future()
        try:
            self._send({"id": number, "op": op, **parameters})
            result, fds = await future
        finally:
            del self._waiting[number]
        return [socket.socket(fileno=fd) for fd in fds] if sockets else result

    def tell(self, op: str, sockets: Sequence[socket.socket] = (), **parameters: Any) -> None:
        """Say something that is not answered; nothing happens where the other side is gone."""
        try:
            self._send({"op": op, **parameters}, sockets)
        except ChannelClosedError:
            return

    def close(self) -> None:
        """End it; whoever waits for an answer gets a ChannelClosedError."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ChannelClosedError("the process is gone"))
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def _send(self, message: dict[str, Any], sockets: Sequence[socket.socket] = ()) -> None:
        if not self._open:
            raise ChannelClosedError("the process is gone")
        if sockets:
            message["fds"] = len(sockets)
        line = json.dumps(message).encode() + b"\n"
        if len(line) > MAX_LINE:
            raise ValueError(f"an answer of {len(line)} bytes is too long: ask for less")
        self._outgoing.append((line, sockets))
        self._write()

    def _write(self) -> None:
        while self._outgoing:
            data, sockets = self._outgoing[0]
            try:
                if sockets:
                    sent = socket.send_fds(self._socket, [data], [sock.fileno() for sock in sockets])
                else:
                    sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._socket.fileno(), self._write)
                return
            except OSError:
                self._outgoing.clear()  # the reading side will notice
                return
            if sent == len(data):
                self._outgoing.popleft()
            else:
                self._outgoing[0] = (data[sent:], ())  # descriptors go with the first byte
        self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, MAX_FDS)
            for fd in fds:
                os.set_inheritable(fd, False)  # no program that the user's code starts is to hold a port open
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, fds = b"", []
        self._fds.extend(fds)
        self._incoming += data
        if not data or len(self._incoming) > MAX_LINE:
            self.close()
            self._ended()
            return
        if b"\n" not in data:
            return
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = bytearray(rest)
        for line in lines:
            self._received(json.loads(line))

    def _received(self, message: dict[str, Any]) -> None:
        fds = [self._fds.popleft() for _ in range(message.pop("fds", 0))]
        if "re" in message:
            future = self._waiting.get(message["re"])
            if future is None or future.done():
                for fd in fds:
                    os.close(fd)
            elif "error" in message:
                future.set_exception(RemoteError(message["error"]))
            else:
                future.set_result((message.get("result"), fds))
            return
        task = self._loop.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: dict[str, Any]) -> None:
        number = message.pop("id", None)
        sockets: Sequence[socket.socket] = ()
        try:
            result, sockets = await self._handle(message.pop("op"), message)
            answer = {"re": number, "result": result}
        except TidegateError as error:
            answer = {"re": number, "error": str(error)}
        except Exception as error:
            logger.exception("a request failed")
            answer = {"re": number, "error": f"{type(error).__name__}: {error}"}
        if number is not None and self._open:
            try:
                self._send(answer, sockets)
            except ValueError as error:
                self._send({"re": number, "error": str(error)})


def send_first(sock: socket.socket, message: dict[str, Any]) -> None:
    """Write a message before there is a loop at the other end; the kernel holds it until then."""
    sock.sendall(json.dumps(message, default=str).encode() + b"\n")  # TOML has dates


def receive_first(sock: socket.socket) -> dict[str, Any]:
    """Read exactly one message, waiting for it.

    Raises:
        ChannelClosedError: the other side is gone.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = sock.recv(1)  # no more than the message, whatever comes behind it
        if not byte:
            raise ChannelClosedError("the supervisor is gone")
        line += byte
    message: dict[str, Any] = json.loads(line)
    return message

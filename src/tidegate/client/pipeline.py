"""An asyncio connection to a gateway on which questions follow each other without waiting for answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from tidegate.client import failures
from tidegate.client.questions import Questions
from tidegate.client.sockets import watch
from tidegate.errors import ClusterError

__all__ = ["Pipeline", "Post"]

DRAIN_LIMIT = 1024 * 1024
"""Unsent bytes over which those who send wait."""
MAX_UNSENT = 64 * 1024 * 1024
"""Unsent bytes over which nothing more is taken."""


class Post:
    """Packets to one gateway, and what comes of them.

    Attributes:
        data: the packets' bytes.
        expected: answers that there will be.
        answers: those that have come.
        number: the ledger's, once it was written.
        done: with the last answer; where none is expected, when it was sent and the buffer has room again. Cancelled
            by who has lost interest.
    """

    __slots__ = ("address", "answers", "data", "done", "expected", "number")

    def __init__(self, address: str, data: bytes, expected: int, loop: asyncio.AbstractEventLoop) -> None:
        self.address = address
        self.data = data
        self.expected = expected
        self.answers: list[bytes] = []
        self.number = 0
        self.done: asyncio.Future[None] = loop.create_future()

    @property
    def error(self) -> ClusterError | None:
        """Why it failed, once it is done."""
        return cast("ClusterError | None", self.done.exception())

    def finish(self) -> None:
        """All is well."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: ClusterError) -> None:
        """It came to nothing."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # who asked may have gone away meanwhile: that is no error of its own


class Pipeline(asyncio.Protocol):
    """One connection. When it has broken it stays so.

    Args:
        address: the gateway's.
        sock: non-blocking and connected.
        hello: bytes that go first.
        broken: told why, once, when it can't be used any more.
    """

    def __init__(self, address: str, sock: socket.socket, hello: bytes, broken: Callable[[ClusterError], None]) -> None:
        self.address = address
        self._sock = sock
        self._has_come = watch(sock)
        self._first = hello
        self._broken = broken
        self._transport: asyncio.Transport
        self._questions: Questions[Post] = Questions()
        self._undrained: list[Post] = []  # commands that wait for room
        self._is_paused = False
        self._error: ClusterError | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=DRAIN_LIMIT)

    @property
    def is_alive(self) -> bool:
        """Whether the gateway has neither ended it nor sent anything unasked; the loop may not have noticed yet."""
        if self._error is not None or self._transport.is_closing():
            return False
        if not self._has_come():
            return True
        try:
            return self._sock.recv(1, socket.MSG_PEEK) != b"" and bool(self._questions.waiting)
        except BlockingIOError:
            return True
        except OSError:
            return False

    def send(self, data: bytes) -> bool:
        """Send a command for which nobody has to wait; False where it is certain that nothing of it was sent."""
        unsent = self._transport.get_write_buffer_size()
        return unsent + len(data) <= DRAIN_LIMIT and self._write(data, unsent)

    def write(self, post: Post) -> bool:
        """Send it; False where it is certain that nothing of it was sent, since the connection has broken."""
        unsent = self._transport.get_write_buffer_size()
        if unsent and unsent + len(post.data) > MAX_UNSENT:
            post.fail(failures.too_much(self.address, unsent))
            return True
        if not self._write(post.data, unsent):
            return False
        if post.expected:
            self._questions.waiting.append(post)
        elif self._is_paused:
            self._undrained.append(post)
        else:
            post.finish()
        return True

    def _write(self, data: bytes, unsent: int) -> bool:
        self._transport.write(self._first + data)
        self._first = b""
        return unsent > 0 or not self._transport.is_closing()

    def time_out(self, post: Post, seconds: float) -> None:
        """It took too long; nothing that comes later could be trusted to be in step."""
        self.fail((failures.not_answered if post.expected else failures.not_taken)(self.address, seconds))

    def fail(self, error: ClusterError) -> None:
        """Break off, and tell everybody who waits."""
        if self._error is not None:
            return
        self._error = error
        self._transport.abort()
        self._broken(error)
        for post in (*self._questions.waiting, *self._undrained):
            post.fail(error)
        self._questions.waiting.clear()
        self._undrained.clear()

    def close(self) -> None:
        """Send what is to be sent, then close."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        answered, error = self._questions.feed(data)
        if error is None:
            for post in answered:
                post.finish()
            return
        problem = failures.out_of_step(self.address, error)
        for post in answered:
            post.fail(problem)
        self.fail(problem)

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, OSError):
            self.fail(failures.failed(self.address, error))
        else:
            self.fail((failures.closed_early if self._questions.waiting else failures.closed_unasked)(self.address))
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        drained, self._undrained = self._undrained, []
        for post in drained:
            post.finish()

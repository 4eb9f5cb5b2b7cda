"""The way to one gateway for an asyncio client: connects when there is something to send, and again after a break."""

from __future__ import annotations

import asyncio
import socket

from tidegate.client import failures
from tidegate.client.ledger import Ledger
from tidegate.client.options import Options
from tidegate.client.pipeline import MAX_UNSENT, Pipeline, Post
from tidegate.client.sockets import make_socket, split_address
from tidegate.errors import ClusterError

__all__ = ["Channel"]


class Channel:
    """What is posted leaves in that order, also what is posted before the connection is there.

    Args:
        address: the gateway's ``host:port``.
        ledger: is told what is written and what breaks.
    """

    __slots__ = (
        "_connecting",
        "_ledger",
        "_loop",
        "_options",
        "_pending",
        "_pending_size",
        "_pipeline",
        "address",
    )

    def __init__(self, address: str, options: Options, ledger: Ledger) -> None:
        self.address = address
        self._options = options
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._pipeline: Pipeline | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._pending: list[Post] = []  # until it is connected
        self._pending_size = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or there will be one."""
        return self._pipeline is not None or self._connecting is not None

    @property
    def is_connecting(self) -> bool:
        """Whether what is posted waits for the connection."""
        return self._connecting is not None

    def is_alive(self) -> bool:
        """Whether there is a connection that can be used; one that can't is given up."""
        if self._pipeline is None:
            return False
        if self._pipeline.is_alive:
            return True
        self._pipeline.fail(failures.closed_unasked(self.address))
        return False

    def send(self, data: bytes) -> bool:
        """Send a command if that can be done here and now; False where nothing of it was sent."""
        if self._connecting is not None or not self.is_alive():
            return False
        assert self._pipeline is not None
        if not self._pipeline.send(data):
            return False
        self._ledger.use(self.address)
        return True

    def post(self, data: bytes, expected: int = 0) -> Post:
        """Send packets, to which there will be so many answers."""
        post = Post(self.address, data, expected, self._loop)
        if self._connecting is None and self.is_alive():
            assert self._pipeline is not None
            if self._pipeline.write(post):
                self._count(post)
                return post
            # Not a byte of it was written, so that it can't arrive twice.
            self._pipeline.fail(failures.closed_unasked(self.address))
        if self._pending and self._pending_size + len(data) > MAX_UNSENT:
            post.fail(failures.too_much(self.address, self._pending_size))
            return post
        self._pending.append(post)
        self._pending_size += len(data)
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())
        return post

    def refuse(self, error: ClusterError) -> Post:
        """What becomes of a post that is not to be sent."""
        post = Post(self.address, b"", 0, self._loop)
        post.fail(error)
        return post

    def time_out(self, post: Post) -> None:
        """It was not done in time: give the connection up, and all that waits on it."""
        if post.done.done():
            return
        if self._pipeline is not None:
            self._pipeline.time_out(post, self._options.timeout)
        else:
            self._fail_pending(failures.not_reached(self.address, self._options.timeout))

    async def close(self) -> None:
        """Close the connection when all has been sent."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.close()
            await pipeline.ended

    def abort(self) -> None:
        """Close the connection at once."""
        if self._pipeline is not None:
            self._pipeline.fail(failures.interrupted(self.address))

    def _count(self, post: Post) -> None:
        post.number = self._ledger.use(self.address)

    async def _connect(self) -> None:
        seconds = min(self._options.connect_timeout, self._options.timeout)
        trust = self._options.trust
        context, name = (None, None) if trust is None else (trust.context(), "")
        sock = make_socket()
        try:
            async with asyncio.timeout(seconds):
                await self._loop.sock_connect(sock, split_address(self.address))
                _, pipeline = await self._loop.create_connection(
                    lambda: self._pipeline_on(sock), sock=sock, ssl=context, server_hostname=name
                )
        except BaseException as problem:
            sock.close()
            self._connecting = None
            if not isinstance(problem, OSError):
                self._fail_pending(failures.interrupted(self.address))
                raise
            is_timeout = isinstance(problem, TimeoutError)
            self._fail_pending(
                failures.not_reached(self.address, seconds)
                if is_timeout
                else failures.unreachable(self.address, problem)
            )
            return
        self._connecting = None
        self._pipeline = pipeline
        self._send_pending(pipeline)

    def _pipeline_on(self, sock: socket.socket) -> Pipeline:
        return Pipeline(self.address, sock, self._options.hello, self._broken)

    def _send_pending(self, pipeline: Pipeline) -> None:
        pending, self._pending, self._pending_size = self._pending, [], 0
        for post in pending:
            if post.done.cancelled():
                continue
            if pipeline.write(post):
                self._count(post)
            else:
                error = failures.closed_unasked(self.address)
                pipeline.fail(error)
                post.fail(error)

    def _fail_pending(self, error: ClusterError) -> None:
        pending, self._pending, self._pending_size = self._pending, [], 0
        for post in pending:
            post.fail(error)

    def _broken(self, error: ClusterError) -> None:
        self._pipeline = None
        self._ledger.broke(self.address, error)

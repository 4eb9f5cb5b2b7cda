"""The push API for programs that run in asyncio: FastAPI, Starlette, aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from tidegate.client import failures
from tidegate.client.api import AsyncPushAPI
from tidegate.client.call import Call, Packets
from tidegate.client.channel import Channel
from tidegate.client.known import KnownGateways
from tidegate.client.ledger import PROBE, Ledger
from tidegate.client.options import read_options
from tidegate.client.outcomes import answers_of, grouped, may_be_outdated, raise_errors, still_there, untried
from tidegate.client.pipeline import Post
from tidegate.client.turns import Turns
from tidegate.errors import ClusterError
from tidegate.wire.register_line import Addresses

__all__ = ["AsyncGatewayClient"]

T = TypeVar("T")

NO_ADDRESSES = Addresses()


class AsyncGatewayClient(AsyncPushAPI):
    """Pushes to clients, and asks about them, from a program that runs in asyncio.

    Make one for an event loop and keep it; any number of tasks may use it. Commands are carried out in the order in
    which they were begun. A connection to a gateway is kept, and opened again where the gateway has closed it. A
    command is repeated only where nothing of it had been sent; otherwise the caller is told, or the next `flush`.

    Args:
        cluster: ``host:port`` of a Register, or a list of them; else TIDEGATE_CLUSTER, else 127.0.0.1:1236.
        secret_key: of the cluster; else TIDEGATE_SECRET_KEY. It is sent only to gateways that Register has named.
        connect_timeout: seconds for a Register or a gateway to accept a connection.
        timeout: seconds for it to answer; gateways that don't cost a call no more than that all together.

    Raises:
        ConfigurationError: one of these can't be used.
        RuntimeError: at a call, where it was used in another event loop before, or is closed.
    """

    def __init__(
        self,
        cluster: str | Sequence[str] | None = None,
        *,
        secret_key: str | None = None,
        connect_timeout: float = 3,
        timeout: float = 5,
    ) -> None:
        self._options = read_options(cluster, secret_key, connect_timeout, timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channels: dict[str, Channel] = {}
        self._known = KnownGateways()
        self._ledger = Ledger()
        self._turns = Turns(self._options, self._known)
        self._is_closed = False

    async def __aenter__(self) -> AsyncGatewayClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections when what was sent has left. The client can't be used any more."""
        if self._is_closed:
            return
        self._enter()
        self._is_closed = True
        await self._turns.close()
        channels, self._channels = self._channels, {}
        if channels:
            closing = [asyncio.create_task(channel.close()) for channel in channels.values()]
            await asyncio.wait(closing, timeout=self._options.timeout)
            for channel in channels.values():
                channel.abort()

    close = aclose

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        self._enter()
        posts = await self._turns.take(False, self._probe)
        await self._settle(posts)
        for post in posts:
            if post.error is None:
                self._ledger.confirm(post.address, post.number)
        breaks, _ = self._ledger.tell(self._ledger.told)
        raise_errors(posts, *breaks)

    def _act(self, call: Call[None]) -> Awaitable[None]:
        return self._run_command(call)

    def _ask(self, call: Call[T]) -> Awaitable[T]:
        return self._run_query(call)

    async def _run_command(self, call: Call[None]) -> None:
        await self._carry(call)

    async def _run_query(self, call: Call[T]) -> T:
        return call.merge(answers_of(await self._carry(call)))

    async def _carry(self, call: Call[Any]) -> list[Post]:
        self._enter()
        known = self._known
        lookups = known.lookups
        needs_lookup = (call.needs_addresses and not known.is_fresh) or self._has_strangers(call)
        posts = await self._turns.take(needs_lookup, lambda: self._send(call.packets(known.last), call.is_query))
        is_new = known.lookups != lookups
        if is_new:
            self._forget_closed(*self._channels.values())
        await self._settle(posts)
        if any(post.error is not None for post in posts):
            known.doubt()
            if not is_new and may_be_outdated(call, posts):
                posts = await self._carry_on(call, posts)
            raise_errors(posts)
        return posts

    async def _carry_on(self, call: Call[Any], posts: list[Post]) -> list[Post]:
        """A gateway failed that a kept list had: those that Register names now decide."""
        known = self._known
        try:
            more = await self._turns.take(True, lambda: self._send(untried(call, known.last, posts), call.is_query))
        except ClusterError as error:
            raise_errors(posts, error)
            raise
        await self._settle(more)
        return still_there(posts, known.last) + more

    def _send(self, packets: Packets, is_query: bool) -> list[Post]:
        """Post to all gateways, now; what failed says so itself."""
        posts = []
        for address, group in grouped(packets).items():
            channel = self._channels.get(address)
            if channel is None:
                channel = self._channels[address] = Channel(address, self._options, self._ledger)
            if self._is_stranger(address):
                posts.append(channel.refuse(failures.stranger(address)))
            else:
                posts.append(channel.post(b"".join(group), len(group) if is_query else 0))
        return posts

    def _probe(self) -> list[Post]:
        used = set(self._ledger.used())
        return [
            channel.post(PROBE, 1)
            for channel in list(self._channels.values())
            if channel.is_connecting or (channel.address in used and channel.is_alive())
        ]

    async def _settle(self, posts: list[Post]) -> None:
        """Wait until all are done, or the time is over."""
        waiting = [post.done for post in posts if not post.done.done()]
        if waiting:
            try:
                await asyncio.wait(waiting, timeout=self._options.timeout)
            except asyncio.CancelledError:
                for done in waiting:
                    done.cancel()
                raise
        for post in posts:
            channel = self._channels.get(post.address)
            if channel is not None:
                channel.time_out(post)
                self._forget_closed(channel)

    def _forget_closed(self, *channels: Channel) -> None:
        """A gateway may be gone for good, and client ids name as many as anybody likes."""
        for channel in channels:
            if not channel.is_open:
                self._channels.pop(channel.address, None)

    def _has_strangers(self, call: Call[Any]) -> bool:
        if not self._options.secret_key:
            return False
        if call.address is not None:
            return self._is_stranger(call.address)
        return not call.needs_addresses and any(self._is_stranger(each) for each, _ in call.packets(NO_ADDRESSES))

    def _is_stranger(self, address: str) -> bool:
        """Whether it is not to see the secret: client ids come from anywhere, Register knows who belongs."""
        if not self._options.secret_key or address in self._known.last.all:
            return False
        channel = self._channels.get(address)
        return channel is None or not channel.is_open

    def _enter(self) -> None:
        if self._is_closed:
            raise RuntimeError("this AsyncGatewayClient is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this AsyncGatewayClient was used in another event loop before: make one for each, "
                "inside the function that is given to asyncio.run()"
            )

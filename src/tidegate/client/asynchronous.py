"""The push API for programs that run in asyncio: FastAPI, Starlette, aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.client import failures
from tidegate.client.api import CoroutinePushAPI
from tidegate.client.call import Call
from tidegate.client.channel import Channel
from tidegate.client.known import KnownGateways
from tidegate.client.ledger import PROBE, Ledger
from tidegate.client.options import read_options
from tidegate.client.outcomes import Groups, answers_of, grouped, may_be_outdated, raise_errors, still_there, untried
from tidegate.client.pipeline import Post
from tidegate.client.turns import Turns
from tidegate.errors import ClusterError

if TYPE_CHECKING:
    from tidegate.client.nats.asynchronous import NatsPush

__all__ = ["AsyncGatewayClient"]

T = TypeVar("T")


class AsyncGatewayClient(CoroutinePushAPI):
    """Pushes to clients, and asks about them, from a program that runs in asyncio.

    Make one for an event loop and keep it; any number of tasks may use it. Commands are carried out in the order in
    which they were begun. A connection to a gateway is kept, and opened again where the gateway has closed it. A
    command is repeated only where nothing of it had been sent; otherwise the caller is told, or the next `flush`.

    Args:
        cluster: ``host:port`` of a Register, or a list of them, or a ``nats://`` URL; else TIDEGATE_CLUSTER, else
            127.0.0.1:1236.
        secret_key: of the cluster; else TIDEGATE_SECRET_KEY. It is sent only to gateways that Register has named.
        cluster_ssl: `ClusterTLS`, or its three file paths, where the cluster has it; else TIDEGATE_CLUSTER_SSL.
        connect_timeout: seconds for a Register, a gateway or NATS to accept a connection.
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
        cluster_ssl: Sequence[str] | None = None,
    ) -> None:
        self._options = read_options(cluster, secret_key, connect_timeout, timeout, cluster_ssl)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channels: dict[str, Channel] = {}
        self._known = KnownGateways()
        self._ledger = Ledger()
        self._turns = Turns(self._options, self._known)
        self._nats: NatsPush | None = None  # from the first call on, where the cluster is there
        self._is_closed = False

    async def __aenter__(self) -> AsyncGatewayClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections when what was sent has left. The client can't be used any more."""
        if self._is_closed:
            return
        if self._loop is not None or self._options.nats is None:
            self._enter()
        self._is_closed = True
        if self._nats is not None:
            await self._nats.close()
        await self._turns.close()
        channels, self._channels = self._channels, {}
        if channels:
            closing = [asyncio.create_task(channel.close()) for channel in channels.values()]
            await asyncio.wait(closing, timeout=self._options.timeout)
            for channel in channels.values():
                channel.abort()

    close = aclose

    async def gateways(self) -> list[str]:
        """The inner addresses of the gateways that there are, ``host:port``, as they were a second ago at most.

        Raises:
            ClusterError: no Register answers, or NATS is not there.
        """
        self._enter()
        if self._nats is not None:
            return list(await self._nats.addresses())
        if not self._known.is_fresh:
            await self._turns.take(True, list)
        return list(self._known.last.all)

    async def flush(self) -> None:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        self._enter()
        if self._nats is not None:
            await self._nats.flush()
            return
        posts = await self._turns.take(False, self._probe)
        await self._settle(posts)
        for post in posts:
            if post.error is None:
                self._ledger.confirm(post.address, post.number)
        breaks, _ = self._ledger.tell(self._ledger.told)
        raise_errors(posts, *breaks)

    async def _act(self, call: Call[None]) -> None:
        self._enter()
        if self._nats is not None:
            await self._nats.act(call)
            return
        await self._carry(call)

    async def _ask(self, call: Call[T]) -> T:
        self._enter()
        if self._nats is not None:
            return await self._nats.ask(call)
        return call.merge(answers_of(await self._carry(call)))

    async def _carry(self, call: Call[Any]) -> list[Post]:
        """Gives what can't be said to have gone well before it was waited for: queries, and commands that wait."""
        known = self._known
        lookups = known.lookups
        groups: Groups = {}
        needs_lookup = call.needs_addresses and not known.is_fresh
        if not needs_lookup:
            groups = grouped(call.packets(known.last))
            needs_lookup = any(map(self._is_stranger, groups))
        if needs_lookup or self._turns.are_taken:
            posts = await self._turns.take(needs_lookup, lambda: self._send(untried(call, known.last), call.is_query))
        else:
            posts = self._send(groups, call.is_query)
        if not posts:
            return posts
        is_new = known.lookups != lookups
        if is_new:
            self._forget_closed(*self._channels.values())
        await self._settle(posts)
        if any(post.error is not None for post in posts):
            known.doubt()
            if not is_new and may_be_outdated(call, posts):
                posts = await self._carry_on(call, groups, posts)
            raise_errors(posts)
        return posts

    async def _carry_on(self, call: Call[Any], tried: Collection[str], posts: list[Post]) -> list[Post]:
        """A gateway failed that a kept list had: those that Register names now decide."""
        known = self._known
        try:
            more = await self._turns.take(True, lambda: self._send(untried(call, known.last, tried), call.is_query))
        except ClusterError as error:
            raise_errors(posts, error)
            raise
        await self._settle(more)
        return still_there(posts, known.last) + more

    def _send(self, groups: Groups, is_query: bool) -> list[Post]:
        """Post to all gateways, now; what failed says so itself, and of commands those that have left are done with."""
        posts = []
        for address, packets in groups.items():
            channel = self._channels.get(address)
            if channel is None:
                channel = self._channels[address] = Channel(address, self._options, self._ledger)
            data = packets[0] if len(packets) == 1 else b"".join(packets)
            if self._is_stranger(address):
                posts.append(channel.refuse(failures.stranger(address)))
            elif is_query or not channel.send(data):
                posts.append(channel.post(data, len(packets) if is_query else 0))
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

    def _is_stranger(self, address: str) -> bool:
        """Whether it is connected to by no means: client ids come from anywhere, Register knows who belongs."""
        if address in self._known.last.all:
            return False
        channel = self._channels.get(address)
        return channel is None or not channel.is_open

    def _enter(self) -> None:
        if self._is_closed:
            raise RuntimeError("this AsyncGatewayClient is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            if self._options.nats is not None:
                from tidegate.client.nats.asynchronous import NatsPush  # which most starts do without

                self._nats = NatsPush(self._options.nats, self._options.connect_timeout, self._options.timeout)
        elif self._loop is not loop:
            raise RuntimeError(
                "this AsyncGatewayClient was used in another event loop before: make one for each, "
                "inside the function that is given to asyncio.run()"
            )

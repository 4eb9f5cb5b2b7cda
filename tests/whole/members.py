"""Members of a cluster on NATS in the test's own loop, each as it would be in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import namespace
from tests.net.support import WebSocketClient, until
from tests.ports import free_port
from tidegate import AsyncGatewayClient, BusinessWorker, Gateway, GatewayClient, Register
from tidegate.net.loops import new_event_loop
from tidegate.wire.client_id import format_client_id, pack_ip

T = TypeVar("T")

END = "the end"


class Member:
    """A gateway, and what it counts."""

    def __init__(self, gateway: Gateway, inner: int, stack: contextlib.AsyncExitStack) -> None:
        self.gateway = gateway
        self.address = f"127.0.0.1:{inner}"
        self._inner = inner
        self._stack = stack

    def count(self, name: str) -> int:
        return int(self.gateway.snapshot()["extra"][name])

    @property
    def is_on_nats(self) -> bool:
        presence = self.gateway._presence
        return presence is not None and presence.door is not None and presence.door.client.is_connected

    async def connect(self) -> tuple[str, WebSocketClient]:
        """A client of its, and by which id."""
        assert self.gateway.address is not None
        client = await WebSocketClient.open(self.gateway.address.port)
        self._stack.callback(client.sock.close)
        own_port = client.sock.getsockname()[1]
        number = next(each.id for each in self.gateway.connections.values() if each.remote_port == own_port)
        return format_client_id(pack_ip("127.0.0.1"), self._inner, number), client

    async def lose_nats(self) -> None:
        """Its connection breaks; it is there again when this returns."""
        presence = self.gateway._presence
        assert presence is not None
        assert presence.door is not None
        client = presence.door.client
        before, link = client.counters.connections, client._connector.link
        assert link is not None
        link.destroy()
        await until(lambda: client.counters.connections > before)

    async def vanish(self) -> None:
        """Be gone from NATS as a process is that was killed: nobody is told."""
        presence = self.gateway._presence
        assert presence is not None
        assert presence.door is not None
        lease = presence.door._lease
        for task in lease._tasks:
            task.cancel()
        lease.is_held = False
        await presence.door.client.stop()


class OnNats:
    """A cluster in a namespace of its own.

    Attributes:
        url: of the cluster.
    """

    def __init__(self, server: NatsServer, stack: contextlib.AsyncExitStack) -> None:
        self._namespace = namespace()
        self.url = f"{server.url}/{self._namespace}"
        self._stack = stack

    def beside(self, server: NatsServer, options: str) -> OnNats:
        """The same cluster, by another server and with options in its URL."""
        other = OnNats(server, self._stack)
        other.url = f"{server.url}/{self._namespace}?{options}"
        return other

    async def gateway(self, *, inner: int | None = None, **settings: Any) -> Member:
        """Start one; clients speak WebSocket to it."""
        inner = inner or free_port()
        gateway = Gateway(
            "websocket://127.0.0.1:0",
            name=f"g{inner}",
            start_port=inner,
            cluster=self.url,
            **{"worker_wait_seconds": 60, **settings},
        )
        gateway._has_register = True  # nobody waits for those who might ask for it
        await gateway.listen()
        self._stack.push_async_callback(gateway.stop, seconds=0.1, whole=True)
        return Member(gateway, inner, self._stack)

    async def worker(
        self, *, set_up: Callable[[BusinessWorker], None] | None = None, **settings: Any
    ) -> BusinessWorker:
        """Start one."""
        worker = BusinessWorker(cluster=self.url, **settings)
        if set_up is not None:
            set_up(worker)
        await worker.listen()
        self._stack.push_async_callback(worker.stop, seconds=0.5, whole=True)
        return worker

    async def register(self) -> str:
        """Start a Register beside NATS; gives its address."""
        register = Register("127.0.0.1:0", settle_seconds=0)
        await register.listen()
        self._stack.push_async_callback(register.stop, seconds=0.5)
        assert register.address is not None
        return f"127.0.0.1:{register.address.port}"

    def client(self, **settings: Any) -> AsyncGatewayClient:
        client = AsyncGatewayClient(self.url, **settings)
        self._stack.push_async_callback(client.aclose)
        return client

    def blocking(self, **settings: Any) -> GatewayClient:
        """One for threads, while the gateways go on in the loop."""
        client = GatewayClient(self.url, **settings)
        self._stack.callback(client.close)
        return client


@contextlib.asynccontextmanager
async def on_nats(server: NatsServer) -> AsyncIterator[OnNats]:
    async with contextlib.AsyncExitStack() as stack:
        yield OnNats(server, stack)


def in_loop(work: Any, seconds: float = 30) -> Any:
    """Run a test's coroutine."""

    async def main() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


async def heard(client: WebSocketClient, until: str = END) -> list[str]:
    """What a client hears before that."""
    said: list[str] = []
    while (text := await client.read_text()) != until:
        said.append(text)
    return said

"""`cluster`: Register, gateways and a program's own workers, in the running loop, for as long as a block."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tidegate.app import App
from tidegate.business.worker import BusinessWorker
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.errors import ConfigurationError
from tidegate.gateway.gateway import Gateway
from tidegate.net.timers import timers_of
from tidegate.process import context
from tidegate.process.member import Member
from tidegate.register.register import Register
from tidegate.testing.borrowing import HOST, borrow, elsewhere, listen_inside
from tidegate.testing.client import NoMessageError, WebSocketClient, open_client
from tidegate.testing.problems import collect
from tidegate.wire.client_id import format_client_id, pack_ip, parse_client_id
from tidegate.worker import Worker

__all__ = ["Cluster", "cluster"]

POLL_SECONDS = 0.001
STOP_SECONDS = 1.0
"""For handlers under way at the end of a block, before they are cancelled."""

Part: TypeAlias = "Gateway | BusinessWorker | Worker"


class Cluster:
    """A cluster that runs; `cluster` makes it.

    Attributes:
        address: ``host:port`` of its Register, for push clients.
        secret_key: of the cluster.
        push: an `AsyncGatewayClient` for it.
        errors: what handlers raised until now. A test that expects an error removes it.
    """

    def __init__(self, secret_key: str, errors: list[Exception]) -> None:
        self._other_timers = timers_of(asyncio.get_running_loop())
        self.address = ""
        self.secret_key = secret_key
        self.errors = errors
        self.push: AsyncGatewayClient
        self._gateways: list[Gateway] = []
        self._workers: list[BusinessWorker] = []
        self._clients: list[tuple[Gateway, WebSocketClient]] = []

    @property
    def url(self) -> str:
        """Where clients of the first WebSocket gateway connect, without a slash at the end.

        Raises:
            ConfigurationError: there is none.
        """
        return f"ws://{HOST}:{_port(self._gateway(None))}"

    @property
    def addresses(self) -> dict[str, str]:
        """Where all that listens does so, by its name; also what workers have opened by themselves."""
        members = [each for each in context.current().running if getattr(each, "address", None) is not None]
        return {each.name: str(each.address) for each in members}

    async def connect(
        self,
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        gateway: Gateway | None = None,
    ) -> WebSocketClient:
        """Connect a WebSocket client; it is closed at the end of the block, or of its own.

        Args:
            path: with a query, where there is one.
            headers: such as Cookie and Origin.
            subprotocols: that it offers.
            gateway: where to; the first WebSocket gateway unless given.

        Raises:
            websockets.exceptions.InvalidHandshake: the gateway refuses.
        """
        gateway = self._gateway(gateway)
        websocket = await open_client(HOST, _port(gateway), path, headers, subprotocols)
        own_port = websocket.local_address[1]
        number = next((each.id for each in gateway.connections.values() if each.remote_port == own_port), 0)
        inner_port = gateway._given["start_port"]
        client = WebSocketClient(websocket, format_client_id(pack_ip(HOST), inner_port, number))
        self._clients.append((gateway, client))
        return client

    async def settle(self, seconds: float = 5) -> None:
        """Return when all that the clients have done has been handled, and what handlers sent is on its way to them.

        Clients come, send and leave; what they did before this call counts, and what a handler does that it did not
        wait for does not. It is for clients that `connect` has made.

        Raises:
            NoMessageError: a handler has not ended in time.
        """
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(client.ping() for _, client in self._clients))
                while not self._is_idle():  # noqa: ASYNC110 - for conditions that nothing announces
                    await asyncio.sleep(POLL_SECONDS)
                running = [worker for worker in self._workers if worker._running is not None]  # a test may stop one
                await asyncio.gather(*(worker.flush() for worker in running))
        except TimeoutError:
            raise NoMessageError(f"the cluster did not settle in {seconds} s: a handler has not ended") from None

    def _is_idle(self) -> bool:
        for gateway, client in self._clients:
            number = parse_client_id(client.client_id).connection_id
            if client.close_code is not None and number in gateway.connections:
                return False  # the gateway has yet to see that it is gone
        for gateway in self._gateways:
            windows = [peer.window for peer in gateway.router._peers.values()]
            if gateway.router.waiting or any(window.waiting or window.running for window in windows):
                return False
        return True

    def _gateway(self, gateway: Gateway | None) -> Gateway:
        if gateway is not None:
            return gateway
        for each in self._gateways:
            if each.address is not None and each.address.scheme == "websocket":
                return each
        raise ConfigurationError("this cluster has no WebSocket gateway: connect to gateway.address by yourself")

    # Running

    async def start(self, stack: contextlib.AsyncExitStack, parts: Sequence[Part], gateway: str) -> None:
        """Start it; the stack ends it."""
        stack.enter_context(elsewhere())
        register = Register(f"{HOST}:0", secret_key=self.secret_key, settle_seconds=0)
        await register.listen()
        stack.push_async_callback(register.stop, seconds=STOP_SECONDS)
        assert register.address is not None
        self.address = f"{HOST}:{register.address.port}"
        self.push = AsyncGatewayClient(self.address, secret_key=self.secret_key)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate"))
        where: dict[str, str | None] = {
            "cluster": self.address,
            "secret_key": self.secret_key,
            "lan_ip": HOST,
            "inner_listen": HOST,
        }
        where["cluster_ssl"] = None
        for part in parts:
            stack.enter_context(borrow(part, folder, {**where, "count": 1, "ssl": None}))
        if not any(isinstance(part, Gateway) for part in parts):
            own = Gateway(gateway, cluster=self.address, secret_key=self.secret_key, lan_ip=HOST, inner_listen=HOST)
            own.joined([register])
            parts = [own, *parts]
        if not any(isinstance(part, BusinessWorker) for part in parts):
            parts = [*parts, BusinessWorker(cluster=self.address, secret_key=self.secret_key)]
        for part in parts:
            await self._start(part)
            stack.push_async_callback(part.stop, seconds=STOP_SECONDS, whole=True)
        stack.push_async_callback(self._end_timers)
        stack.push_async_callback(self._say_goodbye)

    async def _start(self, part: Part) -> None:
        if isinstance(part, Gateway):
            await listen_inside(part)
            self._gateways.append(part)
            return
        await part.listen()
        if isinstance(part, BusinessWorker):
            self._workers.append(part)

    def _cancel_timers(self) -> list[asyncio.Future[Any]]:
        """Cancel those made since it was; gives their calls that are under way."""
        timers = timers_of(asyncio.get_running_loop()) - self._other_timers
        for timer in timers:
            timer.cancel()
        return [timer.task for timer in timers if timer.task is not None]

    async def _end_timers(self) -> None:
        """Before what they ask is gone."""
        if calls := self._cancel_timers():
            await asyncio.wait(calls, timeout=STOP_SECONDS)

    async def _say_goodbye(self) -> None:
        """Have all handled, then close the clients while everything works, so that handlers see them go."""
        deadline = time.monotonic() + STOP_SECONDS
        with contextlib.suppress(NoMessageError):
            await self.settle(STOP_SECONDS)
        await self.push.aclose()
        for gateway in self._gateways:
            for connection in tuple(gateway.connections.values()):
                connection.close(code=1001, reason="the test is over")
        await asyncio.gather(*(client.close() for _, client in self._clients))
        with contextlib.suppress(NoMessageError):
            await self.settle(max(0.0, deadline - time.monotonic()))


@contextlib.asynccontextmanager
async def cluster(
    *members: Member | App,
    gateway: str = "websocket://127.0.0.1:0",
    secret_key: str = "",
    raise_errors: bool = True,
) -> AsyncIterator[Cluster]:
    """Run a cluster in this process and loop: a Register, gateways and the workers given, on ports that are free.

    The members are those of a program: for the test they have other addresses, no TLS and one process each; afterwards
    they are as they were, and may be used again. The test's own Register takes the place of one among them.

    Args:
        members: BusinessWorkers, Gateways and Workers, or an App with them. Without a BusinessWorker there is one that
            does nothing.
        gateway: the address of the gateway that there is where none is given; it counts for the protocol only.
        secret_key: that all of them name.
        raise_errors: at the end, what was logged as an error meanwhile; otherwise ``errors`` just has it.

    Raises:
        HandlerError: a handler raised, and the block did not.
        ConfigurationError: a member that can't be, or is none.
    """
    parts = list(_parts(members))
    with collect() as problems:
        running = Cluster(secret_key, problems.errors)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await running.start(stack, parts, gateway)
                yield running
        except Exception as failure:
            problems.explain(failure)
            raise
        finally:
            running._cancel_timers()
        if raise_errors:
            problems.check()


def _parts(members: Iterable[Member | App]) -> Iterator[Part]:
    """Those of the members that run, gateways first: a worker waits until it has found them."""
    flat = [part for each in members for part in (each.members if isinstance(each, App) else (each,))]
    for kind in (Gateway, BusinessWorker, Worker):
        yield from (part for part in flat if isinstance(part, kind))
    for part in flat:
        if not isinstance(part, Gateway | BusinessWorker | Worker | Register):
            raise ConfigurationError(f"a cluster takes BusinessWorkers, Gateways, Workers and Apps, not {part!r}")


def _port(gateway: Gateway) -> int:
    assert gateway.address is not None
    return gateway.address.port

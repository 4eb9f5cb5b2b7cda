"""`BusinessWorker`: the process that runs the user's code for the clients of all gateways of a cluster."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import tidegate.business as room
from tidegate.business.doors import Doors, Links
from tidegate.business.leaving import hang_up, leave
from tidegate.business.query import Query
from tidegate.business.running import Running
from tidegate.client import calls
from tidegate.client.api import AsyncPushAPI, PushAPI
from tidegate.client.arguments import Message, Name, Session
from tidegate.client.call import Call
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.place import check_place, is_elsewhere, read_cluster
from tidegate.cluster.trust import trust
from tidegate.net.mutual import ClusterTLS
from tidegate.net.tls import TLS
from tidegate.process import context
from tidegate.process.callback import Callback
from tidegate.process.member import Member, Stop, with_own_registers
from tidegate.process.settings import BusinessSettings, given_in, resolve
from tidegate.wire import commands, php

__all__ = ["BusinessWorker"]

logger = logging.getLogger("tidegate")

T = TypeVar("T")

READY_SECONDS = 5.0
"""For the gateways to be found and linked, before the worker is ready without."""
HASTY_SECONDS = 1.0
"""That handlers have to end at a stop that is not graceful, and gateways to hang up."""
LEAST_SECONDS = 0.5
"""That `on_worker_stop` has in any case."""
STOP_STAGE = 1
"""Where the whole app stops, after its gateways, so that it sees their clients go."""
CALLBACKS = {
    "on_connect": commands.ON_CONNECT,
    "on_websocket_connect": commands.ON_WEBSOCKET_CONNECT,
    "on_message": commands.ON_MESSAGE,
    "on_close": commands.ON_CLOSE,
}


class BusinessWorker(AsyncPushAPI):
    """Processes that run handlers for clients, whichever gateway they are connected to. Any attribute may be set on it.

    Sends are plain calls: what is sent leaves at the end of this turn of the loop, also from other threads. They may be
    awaited, which waits while more than ``send_to_gateway_limit`` bytes wait for the gateway. Queries are awaited, and
    see what the same worker sent before them where the gateway is Tidegate's.

    Args:
        name: unique in its app.
        count: processes.
        cluster: where its Registers are, ``host:port`` each, or a ``nats://`` URL; the Registers of the same app unless
            given.
        zone: on NATS: the events of the gateways of the same zone come here.
        secret_key: that all members of the cluster name; TIDEGATE_SECRET_KEY unless given.
        cluster_ssl: `ClusterTLS`, or its three file paths: TLS between the processes of the cluster.
        threads: in which `def` handlers run, so that they may block; 0 runs them in the loop.
        max_pending_events: events taken and not finished, over which nothing more is read from the gateways.
        handler_timeout: seconds after which the log shows the stack of a handler that has not ended; 0 is off.
        send_to_gateway_limit: bytes that may wait for a gateway before awaited sends wait.
        max_packet_size: bytes of a packet from or to a gateway.
        reloadable: `reload` replaces its processes.

    Attributes:
        id: of this process among the worker's, from 0.
    """

    if TYPE_CHECKING:  # users' own attributes

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    on_worker_start = Callback()
    on_connect = Callback()
    on_websocket_connect = Callback()
    on_message = Callback()
    on_close = Callback()
    on_worker_stop = Callback()

    def __init__(
        self,
        *,
        name: str = "business",
        count: int | None = None,
        cluster: str | Sequence[str] | None = None,
        zone: str | None = None,
        secret_key: str | None = None,
        cluster_ssl: ClusterTLS | Sequence[str] | None = None,
        threads: int | None = None,
        max_pending_events: int | None = None,
        handler_timeout: float | None = None,
        send_to_gateway_limit: int | None = None,
        max_packet_size: int | None = None,
        reloadable: bool | None = None,
    ) -> None:
        given = given_in(locals(), BusinessSettings)
        self.name = name
        self.id = 0
        self._given = given
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._process_callbacks: dict[str, Callable[..., Any] | None] = {}
        self._doors = Doors()
        self._running: Running | None = None
        self._members: Sequence[Member] = ()
        self._is_stopping = False

    def set_callback(self, name: str, fn: Callable[..., Any] | None) -> None:
        """Set a callback by its name; one for an event that had none, until `on_worker_start` has returned."""
        if name not in CALLBACKS:
            self._process_callbacks[name] = fn
        elif fn is None:
            self._handlers.pop(CALLBACKS[name], None)
        else:
            self._handlers[CALLBACKS[name]] = fn
        if self._running is not None:
            self._running.dispatcher.settle()

    def joined(self, members: Sequence[Member]) -> None:
        """Its app is made."""
        self._members = members

    def settings(self, config: Mapping[str, Any]) -> BusinessSettings:
        """What holds for it: from code, environment, TOML and defaults.

        Raises:
            ConfigurationError: for what can't be.
        """
        settings = resolve(BusinessSettings, self.name, self._given, with_own_registers(config, self._members))
        check_place(settings.cluster)
        trust(settings.cluster_ssl)
        return settings

    def serve_http(self, address: str, *, token: str | None = None, ssl: TLS | None = None) -> None:
        """Have each process answer HTTP requests for the push API there; until `on_worker_start` has returned.

        Args:
            address: such as ``http://127.0.0.1:8585``; the processes share it.
            token: that requests have to show, as ``Authorization: Bearer …``. Without one the address is this
                machine's own, and web pages are refused.
            ssl: as with `Worker`: an SSLContext, or the files of a certificate and its key.

        Raises:
            ConfigurationError: the address, the token or the certificate can't be used, or others can reach it and
                there is no token.
            RuntimeError: the worker has begun to serve.
        """
        if self._doors.are_open:
            raise RuntimeError(f"{self.name!r} serves already: call serve_http before, or in on_worker_start")
        door = room.make_http_door(self, Links(lambda: self._here), address, token, ssl)
        self._doors.add(address, door)

    # Running

    async def listen(self) -> Self:
        """Begin to serve: find the gateways and link to them."""
        if self._running is not None:
            raise RuntimeError(f"{self.name!r} runs already")
        process = context.current()
        settings = self.settings(process.config)
        key = f"{self.name}:{self.id}:{os.getpid()}:{secrets.token_hex(4)}"
        running = self._running = Running(self.name, key, self._handlers, settings)
        self._warn_if_open(settings)
        try:
            await self._call("on_worker_start")
            began = time.monotonic()
            running.start()
            if not await running.directory.known(READY_SECONDS):
                what = "NATS server" if running.nats is not None else "Register"
                logger.warning("%s: no %s answers: %s", self.name, what, running.meeting_point)
            elif not await running.gateways.linked(READY_SECONDS - (time.monotonic() - began)):
                logger.warning("%s: begins without some of the gateways", self.name)
            await self._doors.open()
        except BaseException:
            await self._doors.close(Stop(seconds=0))
            await running.end()
            self._running = None
            raise
        process.running.append(self)
        return self

    def _warn_if_open(self, settings: BusinessSettings) -> None:
        if settings.secret_key or settings.cluster_ssl is not None:
            return
        place = read_cluster(settings.cluster)
        if not isinstance(place, NatsPlace) and (elsewhere := [each for each in place if is_elsewhere(each)]):
            logger.warning(
                "%s: NO SECRET: whoever reaches Register %s can take part in this cluster, as a worker or a gateway. "
                "Set secret_key=, or TIDEGATE_SECRET_KEY, to the same text in the whole cluster",
                self.name,
                elsewhere[0],
            )

    async def stop(
        self,
        *,
        graceful: bool = False,
        seconds: float = 5,
        code: int = 1001,
        reason: str = "the server stops",
        reload: bool = False,
        whole: bool = False,
    ) -> None:
        """Leave the gateways, so that other workers have the clients, and end.

        Args:
            graceful: handlers under way come to their end first.
            seconds: that all of it may take.
            code: for clients; a worker closes none.
            reason: for them too.
            reload: a successor serves already, or is about to start; then it is graceful too.
            whole: the entire app stops.
        """
        running = self._running
        if running is None or self._is_stopping:
            return
        self._is_stopping = True
        stop = Stop(graceful or reload, seconds, code, reason, reload, whole)
        patience = stop.deadline if stop.graceful else min(stop.deadline, stop.begun + HASTY_SECONDS)
        try:
            await self._doors.close(Stop(stop.graceful, (patience - stop.begun) / 2, code, reason, reload, whole))
            running.gateways.hold()
            await running.directory.stop()
            await leave(running.gateways, running.push, running.dispatcher, patience)
            await self._farewell(max(LEAST_SECONDS, stop.seconds_left))
            await hang_up(running.gateways, min(stop.deadline, time.monotonic() + HASTY_SECONDS))
        finally:
            await running.end()
            self._running, self._is_stopping = None, False
            context.current().running.remove(self)

    async def _farewell(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._call("on_worker_stop")
        except Exception:
            logger.exception("%s: on_worker_stop failed", self.name)

    async def _call(self, name: str) -> None:
        callback = self._process_callbacks.get(name)
        if callback is not None:
            result = callback(self)
            if inspect.isawaitable(result):
                await result

    async def reloading(self) -> None:
        """The app is being reloaded."""

    # The push API

    @property
    def sync(self) -> PushAPI:
        """The same methods in blocking form, for `def` handlers in threads."""
        return self._here.sync

    @property
    def _here(self) -> Running:
        if self._running is None:
            raise RuntimeError(f"{self.name!r} does not run: it can send and ask from on_worker_start on")
        return self._running

    def _act(self, call: Call[None]) -> Awaitable[None]:
        return self._here.push.act(call)

    def _ask(self, call: Call[T]) -> Awaitable[T]:
        running = self._here
        running.handover.check_loop(call.name)
        return Query(call, running.push.ask)

    def flush(self) -> Coroutine[Any, Any, None]:
        """Wait until every gateway has processed all that was sent before.

        Raises:
            ClusterError: a link used since the last flush broke, so that some of it may be lost.
        """
        return self._here.push.flush()

    def close_uid(self, uid: Name, message: Message | None = None) -> Awaitable[None]:
        """Close every client that has this uid now, after one last message."""
        running = self._here
        running.handover.check_loop("close_uid")
        task = asyncio.create_task(self._ask_and_act(calls.close_uid(uid, message)))
        running.tasks.add(task)
        task.add_done_callback(running.tasks.discard)
        return task

    def set_session(self, client_id: str, session: Session) -> Awaitable[None]:
        """Replace a client's session."""
        return self._change_session(calls.set_session(client_id, session), client_id, session, whole=True)

    def update_session(self, client_id: str, session: Session) -> Awaitable[None]:
        """Merge this into a client's session, and dicts in it into those that are there."""
        return self._change_session(calls.update_session(client_id, session), client_id, session, whole=False)

    def _change_session(self, call: Call[None], client_id: str, changes: Session, *, whole: bool) -> Awaitable[None]:
        waits = self._act(call)
        running = self._here
        running.handover.call_here(running.change_session, client_id, php.dumps(changes), whole)
        return waits

    # What the supervisor asks

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Its row of the app's topology."""
        settings = self.settings(config)
        return {
            "name": self.name,
            "kind": type(self).__name__,
            "listen": None,
            "count": settings.count,
            "reuse_port": False,
            "reloadable": settings.reloadable,
            "stage": STOP_STAGE,
        }

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process."""
        return {"name": self.name, "listen": "", **self._here.snapshot()}

    def connection_rows(self, limit: int) -> list[dict[str, Any]]:
        """Some of its clients, for people."""
        return [
            {
                "worker": self.name,
                "id": client.id,
                "remote": f"{client.remote_ip}:{client.remote_port}",
                "listen": "",
                "idle": None,
                "queued": 0,
            }
            for client in self._here.clients(limit)
        ]

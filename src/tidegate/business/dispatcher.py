"""Calls handlers: the events of one client one after the other as they came, those of different clients at once.

It does no I/O. A `def` handler runs where its event arrives; what is async, or runs in a thread, becomes a `Job`.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from tidegate.business.client import Client
from tidegate.business.counts import Counts
from tidegate.business.handover import Handover
from tidegate.business.handshake import read_handshake
from tidegate.business.job import Job, name_of
from tidegate.business.pool import Pool
from tidegate.business.runner import Runner
from tidegate.net.throttle import Throttle
from tidegate.wire import commands, php
from tidegate.wire.commands import BINARY, IPV6, ON_CLOSE, ON_MESSAGE, ON_WEBSOCKET_CONNECT, SCALAR
from tidegate.wire.packet import Packet

if TYPE_CHECKING:
    from tidegate.business.link import GatewayLink

__all__ = ["Dispatcher", "Event"]

logger = logging.getLogger("tidegate")

Event: TypeAlias = "tuple[Packet, GatewayLink | None, int, int]"
"""A packet, the link on which it came, its number there, and the position up to which saves were confirmed then."""

IPV6_SIZE = 16


class Dispatcher:
    """One worker's.

    Args:
        name: of the worker, for logs.
        handlers: by the command of their event; set before the first comes.
        threads: for `def` handlers; 0 runs them in the loop.
        max_pending: events taken and not finished, over which `is_over` says so until half of them are done.
        relieved: is called then.

    Attributes:
        pending: events taken and not finished.
        busy: what runs in the loop at this moment: the packet of a `def` handler, or the job of an async one.
    """

    def __init__(
        self,
        name: str,
        handlers: dict[int, Callable[..., Any]],
        *,
        threads: int,
        max_pending: int,
        handover: Handover,
        relieved: Callable[[], None],
    ) -> None:
        self.name = name
        self.handlers = handlers
        self.throttle = Throttle(logger)
        self.max_pending = max_pending
        self.pending = 0
        self.counts = Counts()
        self.is_over = False
        self._relieved = relieved
        self.current: Packet | None = None
        self.runner = Runner(self._began, self._ended)
        self.pool: Pool | None = None
        self._in_threads: frozenset[int] = frozenset()
        if threads:
            self.pool = Pool(name, threads, handover, self._began, self._returned)
            self._in_threads = frozenset(command for command, fn in handlers.items() if not _is_async(fn))

    @property
    def busy(self) -> Packet | Job | None:
        return self.runner.stepped or self.current

    # Events

    def take(self, client: Client, packet: Packet, link: GatewayLink | None) -> None:
        """Take an event; None is the link of one that was made here."""
        self.pending += 1
        number = confirmed = 0
        if link is not None:
            link.received = number = link.received + 1
            confirmed = link.confirmed
        if client._is_running or client._waiting:
            if client._waiting is None:
                client._waiting = deque()
            client._waiting.append((packet, link, number, confirmed))
            return
        self._start(client, packet, link, number, confirmed)

    def end(self, client: Client) -> None:
        """Have a client's on_close called, whose gateway does not say any more that it is gone."""
        gateway = client._gateway
        packet = (ON_CLOSE, client._number, SCALAR, b"", b"", gateway.ip, gateway.port, 0, 0, 0)
        self.take(client, packet, None)

    def _start(self, client: Client, packet: Packet, link: GatewayLink | None, number: int, confirmed: int) -> None:
        """Begin with an event of a client that has none under way."""
        command, _, flags, ext, body, *_ = packet
        client._is_running = True
        if link is not None:
            if flags & IPV6:
                client._origin, ext = ext[:IPV6_SIZE], ext[IPV6_SIZE:]
            client._stored = ext if client._saves is None else client._saves.resolve(ext, confirmed)
        fn = self.handlers.get(command)
        if fn is None:
            self._skip(client, command, link, number)
            return
        if command == ON_MESSAGE:
            self.counts.messages += 1
            if flags == SCALAR:
                try:
                    args: tuple[Any, ...] = (client, body.decode())
                except UnicodeDecodeError:
                    args = (client, body)
            elif flags & BINARY:
                args = (client, body)
            else:
                args = self._read(client, php.loads, body)
        elif command == ON_WEBSOCKET_CONNECT:
            args = self._read(client, read_handshake, body, client.remote_ip)
        else:
            args = (client,)
        if not args:
            self._skip(client, command, link, number)
            return
        if command in self._in_threads:
            assert self.pool is not None
            self.pool.put(Job(client, command, fn, args, link, number))
            return
        self.current = packet
        try:
            result = fn(*args)
        except Exception as error:
            self.current = None
            self._failed(client, fn, error)
            client._session = None
        else:
            self.current = None
            if result is not None and (type(result) is CoroutineType or inspect.isawaitable(result)):
                coroutine = result if type(result) is CoroutineType else _wait_for(result)
                self.runner.put(Job(client, command, fn, args, link, number, coroutine))
                return
        if link is not None:
            link.progress.start(number)
        self._finish(client, command, link)

    def _skip(self, client: Client, command: int, link: GatewayLink | None, number: int) -> None:
        """There is nothing to do for an event."""
        if link is not None:
            link.progress.start(number)
        self._finish(client, command, link)

    def _read(self, client: Client, read: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
        """What a handler gets besides the client; an event that can't be read is dropped, and gives nothing."""
        try:
            return (client, read(*args))
        except php.PHPValueError as error:
            self.counts.bad_events += 1
            self.throttle.log(
                logging.WARNING, "%s: client %s: an event is dropped, it has %s", self.name, client.id, error
            )
            return ()

    # Jobs

    def _began(self, job: Job) -> None:
        if job.link is not None and not job.is_begun:
            job.is_begun = True
            job.link.progress.start(job.number)
            job.link.progressed()

    def _returned(self, job: Job, result: Any, error: BaseException | None) -> None:
        """A handler in a thread has returned."""
        if error is None and result is not None and inspect.isawaitable(result):
            job.coroutine = _wait_for(result)
            self.runner.put(job)
            return
        self._ended(job, error)

    def _ended(self, job: Job, error: BaseException | None) -> None:
        client = job.client
        if error is not None:
            self._failed(client, job.fn, error)
            client._session = None
        self._finish(client, job.command, job.link)
        if job.link is not None:
            job.link.progressed()
        self.go_on(client)

    def go_on(self, client: Client) -> None:
        """Begin with what waits of a client's events."""
        gateway = client._gateway
        while client._waiting and not client._is_running:
            if gateway.is_frozen and client._waiting[0][1] is not gateway.link:
                return
            packet, link, number, confirmed = client._waiting.popleft()
            self._start(client, packet, link, number, confirmed)
            if link is not None:
                link.progressed()

    # The end of an event

    def _finish(self, client: Client, command: int, link: GatewayLink | None) -> None:
        """What an event caused is on its way: it counts as finished."""
        gateway = client._gateway
        if client._session is not None:
            if command != ON_CLOSE:
                self._save(client, client._session)
            client._session = None
        client._is_running = False
        self.counts.events += 1
        if link is not None:
            link.progress.finished += 1
        self.pending -= 1
        if self.is_over and self.pending <= self.max_pending // 2:
            self.is_over = False
            self._relieved()
        if command == ON_CLOSE:
            if client._waiting:  # nothing comes after it but what was made here
                self.pending -= len(client._waiting)
                client._waiting = None
            gateway.forget(client)
        elif not client._waiting:
            client._waiting = None
            if gateway.is_releasing:
                gateway.release(client)

    def _save(self, client: Client, session: dict[Any, Any]) -> None:
        try:
            client._gateway.save(client, session)
        except (TypeError, ValueError, OverflowError) as error:  # PHPValueError is one of them
            self.counts.unsaved_sessions += 1
            self.throttle.log(logging.ERROR, "%s: client %s: its session is not saved: %s", self.name, client.id, error)

    def _failed(self, client: Client, fn: Callable[..., Any], error: BaseException) -> None:
        self.counts.handler_errors += 1
        logger.error("%s: client %s: %s failed", self.name, client.id, name_of(fn), exc_info=error)

    def give_back(self, client: Client, link: GatewayLink | None) -> None:
        """Forget what waits of a client's events, but for those of one link."""
        waiting = client._waiting
        if waiting is None:
            return
        kept = deque(event for event in waiting if event[1] is link)
        self.pending -= len(waiting) - len(kept)
        self.counts.returned += len(waiting) - len(kept)
        client._waiting = kept or None

    def check(self) -> bool:
        """Whether there is more than may be taken."""
        if self.pending > self.max_pending:
            self.is_over = True
        return self.is_over

    def wanted(self) -> list[str] | None:
        """The names of the events that handlers are there for, and of that which ends a client; None for all."""
        wanted = {*self.handlers, ON_CLOSE}
        names = [name for command, name in commands.EVENT_NAMES.items() if command in wanted]
        return None if len(names) == len(commands.EVENT_NAMES) else names


async def _wait_for(awaitable: Awaitable[Any]) -> None:
    await awaitable


def _is_async(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004

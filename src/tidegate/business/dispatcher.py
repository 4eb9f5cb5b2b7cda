"""Calls handlers: the events of one client one after the other as they came, those of different clients at once.

It does no I/O. A `def` handler runs where its event arrives; what is async, or runs in a thread, becomes a `Job`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

from tidegate.business.client import Client
from tidegate.business.counts import Counts
from tidegate.business.handover import Handover
from tidegate.business.handshake import read_handshake
from tidegate.business.job import Call, Job, name_of
from tidegate.business.pool import Pool
from tidegate.business.runner import Runner
from tidegate.net.throttle import Throttle
from tidegate.wire import commands, php
from tidegate.wire.commands import AGAIN, BINARY, EVENT_NAMES, IPV6, ON_CLOSE, ON_MESSAGE, ON_WEBSOCKET_CONNECT, SCALAR
from tidegate.wire.packet import Packet
from tidegate.wire.runs import Run, packets_of

if TYPE_CHECKING:
    from tidegate.business.link import GatewayLink
    from tidegate.business.remote import RemoteGateway

__all__ = ["Dispatcher", "Event"]

logger = logging.getLogger("tidegate")

Event: TypeAlias = "tuple[Packet, GatewayLink | None, int, int]"
"""A packet, the link on which it came, its number there, and the position up to which saves were confirmed then."""

IPV6_SIZE = 16
PLAIN_MASK = SCALAR | BINARY | IPV6 | AGAIN


class Dispatcher:
    """One worker's.

    Args:
        name: of the worker, for logs.
        handlers: by the command of their event; `settle` is called when they are set.
        threads: for `def` handlers; 0 runs them in the loop.
        max_pending: events taken and not finished, over which `is_over` says so until half of them are done.
        relieved: is called then.

    Attributes:
        pending: events taken and not finished.
        current: the packet, or one of a run of them, whose `def` handler runs at this moment.
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
        self.current: Packet | Run | None = None
        self.runner = Runner(self._waits, self._ended, self._returned)
        self.pool: Pool | None = None
        self._plain: frozenset[int] = frozenset()  # events whose handlers are `def`
        self._in_threads: frozenset[int] = frozenset()
        self._on_message: Callable[..., Any] | None = None
        if threads:
            self.pool = Pool(name, threads, handover, lambda job: self._waits(job.call), self._left_thread)

    def settle(self) -> None:
        """The handlers are what they are now."""
        self._plain = frozenset(command for command, fn in self.handlers.items() if not _is_async(fn))
        if self.pool is None:
            self._on_message = self.handlers.get(ON_MESSAGE)
        else:
            self._in_threads = self._plain

    @property
    def busy(self) -> Packet | Run | Call | None:
        """What runs in the loop at this moment: a `def` handler for a packet, or a call of an async one."""
        return self.runner.stepped or self.current

    # Events

    def take_all(self, gateway: RemoteGateway, link: GatewayLink, runs: list[Run]) -> None:
        """Take what came in one read."""
        clients = gateway.clients
        for run in runs:
            client = clients.get(run[1])
            if (
                client is not None
                and run[0] == ON_MESSAGE
                and run[2] & PLAIN_MASK == SCALAR
                and self._on_message is not None
                and not client._is_running
                and not client._waiting
                and not gateway.is_releasing
            ):
                done = self._take_text(client, run, link, self._on_message)
            else:
                done = 0
            if done == len(run[4]):
                continue
            for packet in packets_of(run, done):
                if run[0] in EVENT_NAMES:
                    client = clients.get(run[1])
                    self.take(gateway.meet(packet) if client is None else client, packet, link)
                else:
                    gateway.control(link, packet)

    def _take_text(self, client: Client, run: Run, link: GatewayLink, fn: Callable[..., Any]) -> int:
        """Take a run of messages for a client that has nothing under way, until an async handler is begun; gives how
        many.

        Most of what there is to do is this, so that what `take`, `_start` and `_finish` would do is written out.
        """
        counts, ext, count = self.counts, run[3], 0
        client._is_running = True
        for body in run[4]:
            count += 1
            client._stored = ext if (saves := client._saves) is None else saves.resolve(ext, link.confirmed)
            message: str | bytes
            try:
                message = body.decode()
            except UnicodeDecodeError:
                message = body
            counts.messages += 1
            self.current = run
            result = None
            try:
                result = fn(client, message)
            except Exception as error:
                self._failed(client, fn, error)
                client._session = None
            self.current = None
            if result is not None and (coroutine := _coroutine(result)) is not None:
                self._passed(link, count - 1)
                link.received += 1
                self.pending += 1
                number = self._still_to_tell(ON_MESSAGE, link, link.received)
                self.runner.put(Call(client, ON_MESSAGE, fn, link, number, coroutine))
                return count
            if client._session is not None:
                self._save(client, client._session)
                client._session = None
        client._is_running = False
        self._passed(link, count)
        return count

    def _passed(self, link: GatewayLink, count: int) -> None:
        """So many events were taken, begun and finished."""
        link.progress.start(link.received + 1, count)
        link.progress.finished += count
        link.received += count

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
        if flags & AGAIN and link is not None:  # should this process die of it, that is known
            link.progress.start(number)
            link.tell()
            number = 0
        fn = self.handlers.get(command)
        args = self._arguments(client, command, flags, body) if fn is not None else ()
        if fn is not None and args:
            if command in self._in_threads:
                assert self.pool is not None
                self.pool.put(Job(Call(client, command, fn, link, number), args))
                return
            self.current = packet
            result = None
            try:
                result = fn(*args)
            except Exception as error:
                self._failed(client, fn, error)
                client._session = None
            self.current = None
            if result is not None and (coroutine := _coroutine(result)) is not None:
                number = self._still_to_tell(command, link, number)
                self.runner.put(Call(client, command, fn, link, number, coroutine))
                return
        if link is not None and number:
            link.progress.start(number)
        self._finish(client, command, link)

    def _still_to_tell(self, command: int, link: GatewayLink | None, number: int) -> int:
        """Of a handler that gave a coroutine, the number to tell once that begins: a `def` handler has begun, and what
        it sent leaves with this turn."""
        if command not in self._plain or link is None or not number:
            return number
        link.progress.start(number)
        return 0

    def _arguments(self, client: Client, command: int, flags: int, body: bytes) -> tuple[Any, ...]:
        """What a handler is called with; nothing where the event can't be read, which is dropped then."""
        try:
            if command == ON_MESSAGE:
                self.counts.messages += 1
                return (client, _message(flags, body))
            if command == ON_WEBSOCKET_CONNECT:
                return (client, read_handshake(body, client.remote_ip))
        except php.PHPValueError as error:
            self.counts.bad_events += 1
            self.throttle.log(
                logging.WARNING, "%s: client %s: an event is dropped, it has %s", self.name, client.id, error
            )
            return ()
        return (client,)

    # Handlers that do not simply return

    def _waits(self, call: Call) -> None:
        """A handler is begun, and has not ended."""
        if call.link is not None and call.number:
            call.link.progress.start(call.number)
            call.link.progressed()

    def _left_thread(self, job: Job, result: Any, error: BaseException | None) -> None:
        """A handler in a thread has returned."""
        if error is None and result is not None and (coroutine := _coroutine(result)) is not None:
            job.call.number, job.call.coroutine = 0, coroutine
            self.runner.put(job.call)
            return
        self._ended(job.call, error)

    def _returned(self, call: Call, error: BaseException | None) -> None:
        """An async handler has ended without having waited."""
        if call.link is not None and call.number:
            call.link.progress.start(call.number)
        self._ended(call, error)

    def _ended(self, call: Call, error: BaseException | None) -> None:
        client, link = call.client, call.link
        if error is not None:
            self._failed(client, call.fn, error)
            client._session = None
        self._finish(client, call.command, link)
        if link is not None:
            link.progressed()
        if client._waiting:
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
            client._gateway.sessions.save(client, session)
        except Exception as error:  # what can't be serialized has many forms
            self.counts.unsaved_sessions += 1
            self.throttle.log(logging.ERROR, "%s: client %s: its session is not saved: %s", self.name, client.id, error)

    def _failed(self, client: Client, fn: Callable[..., Any], error: BaseException) -> None:
        self.counts.handler_errors += 1
        if isinstance(error, asyncio.CancelledError):
            self.throttle.log(logging.WARNING, "%s: client %s: %s was cancelled", self.name, client.id, name_of(fn))
            return
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


def _message(flags: int, body: bytes) -> Any:
    """What `on_message` gets: text, binary, or a value that a custom protocol of PHP's made.

    Raises:
        PHPValueError: it is to be one, and can't be read.
    """
    if flags & BINARY:
        return body
    if not flags & SCALAR:
        return php.loads(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _coroutine(result: Any) -> Coroutine[Any, Any, Any] | None:
    """What is to be run of what a handler returned."""
    if type(result) is CoroutineType:
        return result
    return _wait_for(result) if inspect.isawaitable(result) else None


async def _wait_for(awaitable: Awaitable[Any]) -> None:
    await awaitable


def _is_async(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004

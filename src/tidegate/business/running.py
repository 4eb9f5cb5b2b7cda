"""What a worker has while it runs, put together; it ends with it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from tidegate.business.asking import Asking
from tidegate.business.client import Client
from tidegate.business.dispatcher import Dispatcher
from tidegate.business.gateways import Gateways, greeting
from tidegate.business.handover import Handover
from tidegate.business.remote import RemoteGateway
from tidegate.business.sync import BlockingPush
from tidegate.business.watchdog import Watchdog
from tidegate.cluster.directory import Directory
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.place import read_cluster
from tidegate.cluster.trust import trust
from tidegate.net.reactor import Reactor
from tidegate.net.stats import Stats
from tidegate.process.settings import BusinessSettings
from tidegate.wire import session
from tidegate.wire.client_id import parse_client_id
from tidegate.wire.php import PHPValueError

if TYPE_CHECKING:
    from tidegate.business.nats import NatsPush

__all__ = ["Running"]


class Running:
    """One worker's parts.

    Args:
        name: of the worker, for logs.
        key: of this process, by which gateways know it again.
        handlers: by the command of their event.

    Attributes:
        nats: where the cluster is on NATS, what is sent there.
        directory: tells which gateways there are.
        push: carries calls.
        meeting_point: what the members meet at, for people.
        tasks: calls that ask and then act, under way.
    """

    def __init__(
        self, name: str, key: str, handlers: dict[int, Callable[..., Any]], settings: BusinessSettings
    ) -> None:
        self.handover = Handover()
        self.dispatcher = Dispatcher(
            name,
            handlers,
            threads=settings.threads,
            max_pending=settings.max_pending_events,
            handover=self.handover,
            relieved=lambda: self.gateways.regulate(),
        )

        secure = trust(settings.cluster_ssl)

        def make_gateway(address: str) -> RemoteGateway:
            limit = settings.send_to_gateway_limit
            return RemoteGateway(
                address,
                self.dispatcher,
                self.handover,
                Asking(address, settings.secret_key, secure),
                limit,
                settings.max_packet_size,
                self.nats,
            )

        self.gateways = Gateways(self.dispatcher, make_gateway, settings.max_packet_size)
        place = read_cluster(settings.cluster)
        self.nats: NatsPush | None = None
        self.directory: Directory | NatsPush
        self.push: Gateways | NatsPush
        if isinstance(place, NatsPlace):
            from tidegate.business.nats import NatsPush  # which most starts do without

            self.nats = NatsPush(place, key, settings, self.gateways, self.dispatcher, self.handover)
            self.directory, self.push, self.meeting_point = self.nats, self.nats, str(place)
        else:
            self.directory = Directory(place, settings.secret_key, self.gateways.listed, secure)
            self.push, self.meeting_point = self.gateways, ", ".join(place)
        self.sync = BlockingPush(self.handover, self.push.act, self.push.ask, self.push.flush)
        self.watchdog = Watchdog(self.dispatcher, settings.handler_timeout) if settings.handler_timeout else None
        self.tasks: set[asyncio.Task[None]] = set()
        self._key, self._secret_key = key, settings.secret_key
        self._reactor = Reactor.acquire()
        self._reactor.sweepers.append(self.gateways.sweep)

    def start(self) -> None:
        """Look for gateways, and take events of theirs for the handlers that there are now."""
        self.dispatcher.settle()
        self.gateways.greeting = greeting(self._key, self._secret_key, self.dispatcher.wanted())
        self.directory.start()

    async def end(self) -> None:
        """Let go of everything."""
        if self.watchdog is not None:
            self.watchdog.stop()
        if self.dispatcher.pool is not None:
            self.dispatcher.pool.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.directory.stop()
        await self.gateways.stop()
        if self.nats is not None:
            await self.nats.close()
        self._reactor.sweepers.remove(self.gateways.sweep)
        self._reactor.release()

    @property
    def addresses(self) -> Collection[str]:
        """The inner addresses of the gateways that there are."""
        return self.nats.addresses if self.nats is not None else self.gateways.addresses.all

    def change_session(self, client_id: str, changes: bytes, whole: bool) -> None:
        """A session was sent to a gateway: where the client is known here, its next events may not show it yet."""
        address, number = parse_client_id(client_id)
        gateway = self.gateways.get(address)
        client = gateway.clients.get(number) if gateway is not None else None
        if gateway is None or client is None:
            return
        try:
            stored = changes if whole else session.merge(client._stored, changes)
            gateway.sessions.changed(client, stored, whole=whole)
        except PHPValueError:  # what is there can't be read, and is the gateway's alone
            return

    # Counting

    def snapshot(self) -> dict[str, Any]:
        """What was counted."""
        counts, gateways = self.dispatcher.counts, self.gateways.all
        return {
            "connections": sum(len(gateway.clients) for gateway in gateways),
            **Stats(
                messages_in=counts.messages,
                frames_out=counts.sent + (self.nats.carrier.sent if self.nats is not None else 0),
                send_failures=counts.failed,
                protocol_errors=counts.strange + counts.bad_events,
                dropped_messages=counts.bad_events + counts.unread,
                handler_errors=counts.handler_errors,
            ).as_dict(),
            "extra": {
                **(self.nats.carrier.snapshot() if self.nats is not None else {}),
                "gateways": sum(gateway.link is not None for gateway in gateways),
                "events_pending": self.dispatcher.pending,
                "events_returned": counts.returned,
                "handler_timeouts": self.watchdog.timeouts if self.watchdog is not None else 0,
                "sends_failed": counts.failed,
                "bytes_lost": counts.unconfirmed,
                "sessions_unsaved": counts.unsaved_sessions,
            },
        }

    def clients(self, limit: int) -> list[Client]:
        """Some of those that are known."""
        every = itertools.chain.from_iterable(gateway.clients.values() for gateway in self.gateways.all)
        return list(itertools.islice(every, max(0, limit)))

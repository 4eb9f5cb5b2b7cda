"""`Gateway`: holds client connections, and carries their events to workers and what is sent to them back."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from tidegate.errors import ConfigurationError
from tidegate.gateway.connection import GatewayConnection, MeteredGatewayConnection
from tidegate.gateway.deadline import LoginDeadline
from tidegate.gateway.entrance import Auth, Entrance, warn
from tidegate.gateway.event import Place
from tidegate.gateway.heartbeat import Heartbeat
from tidegate.gateway.inner import InnerPort
from tidegate.gateway.inner_address import bind_inner, resolve_lan_ip, warn_if_open
from tidegate.gateway.plain import from_plain, to_plain
from tidegate.gateway.presence import Presence, check_cluster
from tidegate.gateway.request import request_body
from tidegate.gateway.router import Choice, Router
from tidegate.gateway.tables import Tables
from tidegate.net.address import parse_address
from tidegate.net.codecs import has_handshake
from tidegate.net.mutual import ClusterTLS, accepting
from tidegate.net.tls import TLS
from tidegate.process.member import Member, Stop, with_own_registers
from tidegate.process.plan import Plan, check_handshake
from tidegate.process.server import Server, default_name
from tidegate.process.settings import GatewaySettings, given_in, resolve
from tidegate.wire.client_id import pack_ip
from tidegate.wire.commands import ON_CLOSE, ON_CONNECT, ON_WEBSOCKET_CONNECT

__all__ = ["Gateway"]

LISTED_SECONDS = 2.0
"""That the inner port stays open after Register was left: push clients keep their list of gateways for a second."""
LINKS_SECONDS = 2.0
"""That workers have to take what is left for them at a stop."""
DEFAULT_PING_INTERVAL = 25.0


class Gateway(Server[GatewaySettings]):
    """Processes that clients connect to.

    Args:
        address: such as ``websocket://0.0.0.0:7272``; any but ``udp://`` and ``http://``.
        name: unique in its app; made from the address unless given.
        count: processes.
        protocol: a codec class with ``feed(data) -> list[message]`` and ``encode(message) -> bytes``, for ``tcp://``
            and ``unix://`` addresses.
        ssl, encoding, compression, subprotocols, origins, max_message_size, send_buffer_limit, slow_consumer,
            handshake_timeout, close_timeout, max_connections, max_connections_per_ip, max_handshakes, max_request_size,
            max_messages_per_second, max_bytes_per_second, over_rate, trusted_proxies, proxy_protocol,
            drain_seconds: as with `Worker`.
        auth: who may come in: a `JWTAuth`, or a function ``(handshake) -> Identity | None``, which may be ``async`` and
            runs in the gateway's process. None gets 401; the uid, the groups and the session of an `Identity` are the
            client's before any handler hears of it.
        auth_concurrency: how many calls of an ``async`` one may be under way.
        lan_ip: this machine's IPv4 address in the cluster, or a name of it; part of every client id.
        inner_listen: the address to listen on for workers and push clients; `lan_ip` where that is private, else all.
        start_port: inner port of the first process; the others have those behind it.
        cluster: where the Registers are, ``host:port`` or a list of them, or a ``nats://`` URL; the Registers of the
            same app unless given.
        register: of a gateway on NATS, Registers to make it known to besides, for PHP.
        zone: of a gateway on NATS: its clients' events go to the workers of the same zone.
        secret_key: shared by the whole cluster.
        cluster_ssl: `ClusterTLS`, or its three file paths: TLS between the processes of the cluster.
        ping_interval: seconds between questions to silent clients; 25 unless given for WebSocket, off for others; 0 is
            off.
        ping_not_response_limit: questions without an answer after which a client is closed; 0 is never.
        ping_data: what is asked; WebSocket ping frames unless given.
        router: which worker a client gets: "least" (the one with the fewest clients), "random", or a function
            ``(workers, client, event) -> worker``, asked at each event.
        worker_wait_seconds: that a client's events wait for a worker, before it is closed with 1013.
        worker_wait_limit: bytes of such events.
        send_to_worker_limit: bytes that may wait for a worker, before its clients are read from no more.
        max_packet_size: bytes of a packet on the inner port.
        max_groups_per_client: groups that a client may be in; a command that goes over it is dropped and counted.
        max_session_size: bytes of a client's session; the same.
        authenticate_within: seconds until a client must have a uid, or be closed with 4408; 0 is never.
        reloadable: whether `reload` replaces it, which closes its clients' connections.
    """

    _connection_classes: tuple[type[GatewayConnection], type[GatewayConnection]] = (
        GatewayConnection,
        MeteredGatewayConnection,
    )

    def __init__(
        self,
        address: str,
        *,
        name: str | None = None,
        count: int | None = None,
        protocol: Callable[[], Any] | None = None,
        ssl: TLS | None = None,
        encoding: str | None = None,
        compression: bool | None = None,
        subprotocols: Sequence[str] | None = None,
        origins: Sequence[str] | None = None,
        max_message_size: int | None = None,
        send_buffer_limit: int | None = None,
        slow_consumer: Literal["close", "drop"] | None = None,
        handshake_timeout: int | None = None,
        close_timeout: int | None = None,
        max_connections: int | None = None,
        max_connections_per_ip: int | None = None,
        max_handshakes: int | None = None,
        max_request_size: int | None = None,
        max_messages_per_second: int | None = None,
        max_bytes_per_second: int | None = None,
        over_rate: Literal["pause", "close"] | None = None,
        trusted_proxies: Sequence[str] | None = None,
        proxy_protocol: bool | None = None,
        drain_seconds: float | None = None,
        auth: Auth | None = None,
        auth_concurrency: int | None = None,
        lan_ip: str | None = None,
        inner_listen: str | None = None,
        start_port: int | None = None,
        cluster: str | Sequence[str] | None = None,
        register: str | Sequence[str] | None = None,
        zone: str | None = None,
        secret_key: str | None = None,
        cluster_ssl: ClusterTLS | Sequence[str] | None = None,
        ping_interval: float | None = None,
        ping_not_response_limit: int | None = None,
        ping_data: str | bytes | None = None,
        router: Literal["least", "random"] | Choice | None = None,
        worker_wait_seconds: float | None = None,
        worker_wait_limit: int | None = None,
        send_to_worker_limit: int | None = None,
        max_packet_size: int | None = None,
        max_groups_per_client: int | None = None,
        max_session_size: int | None = None,
        authenticate_within: float | None = None,
        reloadable: bool | None = None,
    ) -> None:
        given = given_in(locals(), GatewaySettings)
        where = parse_address(address)
        super().__init__(where, name or default_name(where))
        if where.scheme in ("udp", "http"):
            raise ConfigurationError(
                f"gateway {self.name!r}: clients need connections, which {where.scheme}:// has not"
            )
        if protocol is not None and where.scheme not in ("tcp", "unix"):
            raise ConfigurationError(f"gateway {self.name!r}: protocol= needs a tcp:// or unix:// address")
        if origins is not None:
            check_handshake(f"gateway {self.name!r}: origins=", where, protocol)
        if auth is not None:
            check_handshake(f"gateway {self.name!r}: auth=", where, protocol)
        self._protocol = protocol
        self._given = given
        self._resolved: GatewaySettings | None = None  # as a supervisor has sent them
        self._has_register = False
        self._members: Sequence[Member] = ()
        self._presence: Presence | None = None
        self._inner: InnerPort | None = None
        self._heartbeat: Heartbeat | None = None
        self._deadline: LoginDeadline | None = None
        self._tables: Tables[GatewayConnection] | None = None
        self._entrance: Entrance | None = None
        self.router: Router = cast("Router", None)  # while it listens
        self._asks_each_time = False  # for an event's worker
        self._callbacks.on_connect = self._connected
        self._callbacks.on_close = self._disconnected

    # Settings

    def settings(self, config: Mapping[str, Any]) -> GatewaySettings:
        if self._resolved is not None:
            return self._resolved
        settings = resolve(GatewaySettings, self.name, self._given, with_own_registers(config, self._members))
        check_cluster(self.name, settings)
        if settings.start_port + settings.count > 65536:
            raise ConfigurationError(
                f"gateway {self.name!r}: start_port={settings.start_port} leaves no {settings.count} ports"
            )
        return settings

    def inner_ports(self, config: Mapping[str, Any]) -> range:
        """The inner ports of its processes."""
        settings = self.settings(config)
        return range(settings.start_port, settings.start_port + settings.count)

    def joined(self, members: Sequence[Member]) -> None:
        """Its app is made."""
        self._members = members
        self._has_register = any(type(member).__name__ == "Register" for member in members)

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.settings(config)
        resolve_lan_ip(self.name, settings.lan_ip)
        row = {**super().describe(config), "kind": "Gateway", "overlap": False, "stage": 0}
        if self._protocol is None and (plain := to_plain(settings)) is not None:
            row["settings"] = {**plain, "has_register": self._has_register}
        return row

    @classmethod
    def from_settings(cls, row: Mapping[str, Any]) -> Gateway:
        """Make it of its row of the topology, without the user's code."""
        gateway = cls(row["listen"], name=row["name"])
        plain = dict(row["settings"])
        gateway._has_register = plain.pop("has_register")
        gateway._resolved = from_plain(plain)
        return gateway

    def _plan(self, settings: GatewaySettings) -> Plan:
        more: dict[str, Any] = {"ids": self._connection_ids()}
        if settings.auth is not None:
            self._entrance = Entrance(self.name, settings.auth, settings.session_limit, settings.max_groups_per_client)
            more |= {"judge": self._entrance.judge, "judged_at_once": settings.auth_concurrency}
            if subprotocol := getattr(settings.auth, "subprotocol", None):
                settings = dataclasses.replace(settings, subprotocols=(*settings.subprotocols, subprotocol))
        return Plan.of(self.address, settings, self._protocol, self._connection_classes, **more)

    def _connection_ids(self) -> Iterator[int]:
        """Numbers from a random one on, so that a client id from before a restart means no stranger; never 0."""
        for number in itertools.count(random.getrandbits(32)):
            number &= 0xFFFFFFFF
            if number and number not in self.connections:
                yield number

    # Opening

    async def _opening(self, settings: GatewaySettings) -> None:
        assert self._endpoint is not None
        assert self.address is not None
        lan_ip = resolve_lan_ip(self.name, settings.lan_ip)
        port = settings.start_port + self.id
        place = Place(pack_ip(lan_ip), port, self.address.port)
        self._asks_each_time = callable(settings.router)
        self.router = Router(
            place,
            settings.router,
            wait_seconds=settings.worker_wait_seconds,
            wait_limit=settings.worker_wait_limit,
            send_limit=settings.send_to_worker_limit,
            max_packet_size=settings.max_packet_size,
        )
        presence = self._presence = Presence(self.name, settings, f"{lan_ip}:{port}")
        clients = cast("Mapping[int, GatewayConnection]", self._endpoint.connections)
        self._tables = Tables(clients, presence.interest)
        self._inner = InnerPort(
            self.name,
            self.router,
            self._tables,
            self._endpoint,
            secret_key=settings.secret_key,
            max_packet_size=settings.max_packet_size,
            max_session_size=settings.session_limit,
            max_groups=settings.max_groups_per_client,
            send_limit=settings.send_to_worker_limit,
            pings=lan_ip != "127.0.0.1",
            renew=self._entrance.renew if self._entrance is not None else None,
            tls=accepting(settings.cluster_ssl) if settings.cluster_ssl is not None else None,
        )
        sockets = bind_inner(self.name, settings.inner_listen, lan_ip, port)
        self._inner.open(sockets)
        warn_if_open(self.name, sockets, bool(settings.secret_key or settings.cluster_ssl))
        interval = self._ping_interval(settings)
        if interval:
            limit = settings.ping_not_response_limit
            self._heartbeat = Heartbeat(self._tables.clients.values, interval, limit, self._ping_data(settings))
        if settings.authenticate_within:
            self._deadline = LoginDeadline(self.name, self._tables.clients, settings.authenticate_within)
            self._endpoint.reactor.sweepers.append(self._deadline.sweep)
        self._endpoint.reactor.sweepers.append(self.router.sweep)
        if self._entrance is not None:
            warn(self.name, cast("Auth", settings.auth), settings.origins)
            self._endpoint.reactor.sweepers.append(self._entrance.sweep)
        await presence.open(self._inner.commander, self._inner.throttle)

    def _ping_interval(self, settings: GatewaySettings) -> float:
        """Where there is nothing to ask with, nobody is asked, nor closed, unless it is asked for."""
        if settings.ping_interval is not None:
            return settings.ping_interval
        return DEFAULT_PING_INTERVAL if self._speaks_websocket or settings.ping_data else 0.0

    def _ping_data(self, settings: GatewaySettings) -> str | bytes | None:
        """What clients are asked with; nothing at all where they have no pings: then they have to speak."""
        return "" if settings.ping_data is None and not self._speaks_websocket else settings.ping_data

    @property
    def _speaks_websocket(self) -> bool:
        return self.address is not None and has_handshake(self.address.scheme, self._protocol)

    # Clients

    def _connected(self, client: GatewayConnection) -> None:
        client.note_origin()
        handshake = getattr(client, "handshake", None)
        if handshake is not None and handshake.identity is not None:
            assert self._entrance is not None
            assert self._tables is not None
            self._entrance.welcome(client, self._tables, handshake.identity)
        if self._deadline is not None and client.uid is None:
            self._deadline.watch(client)
        self.router.event(client, ON_CONNECT)
        if handshake is not None and self._is_wanted(client, ON_WEBSOCKET_CONNECT):
            assert self.address is not None
            body = request_body(handshake, client.port, self.address.port)
            self.router.event(client, ON_WEBSOCKET_CONNECT, body)

    def _is_wanted(self, client: GatewayConnection, command: int) -> bool:
        """Whether an event is to be made: not where it goes to a worker that has no handler for it."""
        peer = client.peer
        return peer is None or peer.is_draining or self._asks_each_time or command in peer.events

    def _disconnected(self, client: GatewayConnection) -> None:
        assert self._tables is not None
        self._tables.forget(client)
        if self._entrance is not None:
            self._entrance.forget(client)
        self.router.event(client, ON_CLOSE)

    async def reloading(self) -> None:
        await super().reloading()
        if self._inner is not None:
            self._inner.renew()

    # Stopping

    async def _stopping(self, stop: Stop) -> None:  # noqa: ARG002
        if self._presence is not None:
            await self._presence.leave()

    async def _closed(self, stop: Stop) -> None:
        if self._presence is not None:
            await self._presence.leave()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        if self._inner is not None:
            # Where the whole app goes, Register and all, nobody is told of this port any more; of NATS, at once.
            assert self._presence is not None
            if self._presence.announcement is not None and not (stop.whole and self._has_register):
                await asyncio.sleep(min(stop.seconds_left, stop.begun + LISTED_SECONDS - time.monotonic()))
            await self._inner.close(min(LINKS_SECONDS, stop.seconds_left))
        if self._presence is not None:
            await self._presence.close()
        assert self._endpoint is not None
        if self._deadline is not None:
            self._endpoint.reactor.sweepers.remove(self._deadline.sweep)
        if self.router is not None:
            if self.router.sweep in self._endpoint.reactor.sweepers:
                self._endpoint.reactor.sweepers.remove(self.router.sweep)
            self.router.release()
            if self._entrance is not None and self._entrance.sweep in self._endpoint.reactor.sweepers:
                self._endpoint.reactor.sweepers.remove(self._entrance.sweep)
        self._entrance = None
        self._presence = self._heartbeat = self._inner = self._tables = self._deadline = None

    # For people

    def snapshot(self) -> dict[str, Any]:
        inner, router = self._inner, self.router
        extra: dict[str, int] = {}
        if inner is not None and self._tables is not None and self._presence is not None:
            extra = {
                **self._presence.snapshot(),
                **dataclasses.asdict(router.stats),
                "clients_waiting": router.waiting,
                "workers": inner.workers,
                "push_clients": inner.push_clients,
                "uids": len(self._tables.uids),
                "groups": len(self._tables.groups),
                "inner_packets": inner.packets,
                "bad_commands": inner.bad_commands + self._presence.bad_commands,
                "refused_links": inner.refused,
                "inner_accept_pauses": inner.stats.accept_pauses,
                **inner.over_limits,
                "unauthenticated_clients": self._deadline.closed if self._deadline is not None else 0,
                "silent_clients": self._heartbeat.closed if self._heartbeat is not None else 0,
                "expired_clients": self._entrance.expired if self._entrance is not None else 0,
                "refused_renewals": self._entrance.refused_renewals if self._entrance is not None else 0,
            }
        return {**super().snapshot(), "extra": extra}

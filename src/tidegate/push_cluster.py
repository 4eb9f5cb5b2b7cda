"""The push server as several processes: gateways of a cluster of its own, on this machine.

Each process holds browsers and shares the inner port; a push that reaches one goes to all. Users are known to the
cluster by uid and group, so that its push clients reach them too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidegate.client.arguments import encode_json
from tidegate.cluster.trust import trust
from tidegate.gateway.connection import GatewayConnection
from tidegate.gateway.gateway import Gateway
from tidegate.gateway.tables import Tables
from tidegate.net.connection import Connection
from tidegate.net.meter import Metered
from tidegate.process.callback import Callback
from tidegate.process.member import Stop
from tidegate.process.settings import GatewaySettings
from tidegate.push_siblings import Siblings
from tidegate.wire.commands import GATEWAY_CLIENT_CONNECT, SEND_TO_GROUP, SEND_TO_UID_COUNTED
from tidegate.wire.packet import HEADER_SIZE, pack

__all__ = ["ClusterUsers", "PushGateway", "cluster_uid"]

HERE = "127.0.0.1"
MAX_PACKET_SIZE = 64 * 1024 * 1024
"""Bytes of a push with its uids: a line of 10 MiB of nothing but short uids takes some 30 MiB."""


def cluster_uid(utype: str, uid: str) -> str:
    """What a user is called in the cluster: ``utype:uid``, with each % and : of a utype as %25 and %3A."""
    return f"{utype.replace('%', '%25').replace(':', '%3A')}:{uid}"


class ClusterUsers:
    """Who is connected, in all processes.

    Attributes:
        tables: of this process's browsers.
        siblings: how all processes are pushed to.
    """

    tables: Tables[GatewayConnection]
    siblings: Siblings

    def bind(self, connection: GatewayConnection, utype: str, uid: str) -> None:
        """Let a connection get what is pushed to its user."""
        self.tables.bind(connection, cluster_uid(utype, uid).encode())
        self.tables.join(connection, utype.encode())

    def send(self, utype: str, uids: Iterable[str] | None, message: str) -> Any:
        """Push to users, or with None to everybody of a utype.

        Returns:
            True for everybody; else an awaitable of whether an open connection, in any process, took it.

        Raises:
            ValueError: the line names too many users.
        """
        if uids is None:
            self.siblings.tell(_packet(SEND_TO_GROUP, {"group": [utype], "exclude": None}, message))
            return True
        names = [cluster_uid(utype, uid) for uid in uids]
        return self.siblings.ask(_packet(SEND_TO_UID_COUNTED, names, message)) if names else False


def _packet(command: int, addressed: Any, message: str) -> bytes:
    ext, body = encode_json(addressed), message.encode()
    if HEADER_SIZE + len(ext) + len(body) > MAX_PACKET_SIZE:
        raise ValueError(f"its uids and text make more than {MAX_PACKET_SIZE} bytes")
    return pack(command, ext=ext, body=body)


class PushConnection(GatewayConnection):
    """A browser. What it says is for the process that holds it: there are no workers."""

    __slots__ = ()

    _deliver = Connection._deliver


class MeteredPushConnection(Metered, PushConnection):
    """One whose messages are counted."""

    __slots__ = ("_meter",)


class PushGateway(Gateway):
    """Processes that browsers connect to.

    Args:
        address: where.
        count: processes.
        register: ``host:port`` of the cluster's Register.
        start_port: inner port of the first process; the others have those behind it.

    Attributes:
        users: those of all processes.
    """

    _connection_classes = (PushConnection, MeteredPushConnection)

    on_worker_start = Callback()
    on_message = Callback()

    def __init__(self, address: str, *, count: int, register: str, start_port: int) -> None:
        super().__init__(
            address,
            name="push",
            count=count,
            lan_ip=HERE,
            inner_listen=HERE,
            start_port=start_port,
            cluster=register,
            ping_interval=0,  # a page speaks by itself; whether it does, the push server sees to
            max_packet_size=MAX_PACKET_SIZE,
            reloadable=True,
        )
        self.users = ClusterUsers()
        self._siblings: Siblings | None = None
        self._started: Callable[[Any], Any] | None = None
        self._callbacks.on_connect = None

    def set_callback(self, name: str, fn: Callable[..., Any] | None) -> None:
        """Set a callback by its name."""
        if name == "on_message":
            self._callbacks.on_message = fn
        else:
            self._started = fn

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        row = super().describe(config)
        row.pop("settings", None)  # its processes need the push server's own
        return {**row, "kind": "PushGateway"}

    async def _opening(self, settings: GatewaySettings) -> None:
        await super()._opening(settings)
        assert self._tables is not None
        secret = settings.secret_key
        hello = pack(GATEWAY_CLIENT_CONNECT, body=encode_json({"secret_key": secret})) if secret else b""
        ports = range(settings.start_port, settings.start_port + settings.count)
        self._siblings = self.users.siblings = Siblings(ports, hello, trust(settings.cluster_ssl))
        self.users.tables = self._tables
        if self._started is not None and inspect.isawaitable(started := self._started(self)):
            await started

    async def _closed(self, stop: Stop) -> None:
        await super()._closed(stop)
        if self._siblings is not None:
            self._siblings.close()
            self._siblings = None

    def _disconnected(self, client: GatewayConnection) -> None:
        assert self._tables is not None
        self._tables.forget(client)

    def snapshot(self) -> dict[str, Any]:
        counted = super().snapshot()
        lost = self._siblings.lost if self._siblings is not None else 0
        return {**counted, "extra": {**counted["extra"], "pushes_lost": lost}}

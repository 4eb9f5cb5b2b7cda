"""`Register`: the process that tells workers and push clients where the gateways are.

It is only a meeting point: while it is away, what is connected works on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Self

from tidegate.cluster.nats.url import is_nats, parse_nats
from tidegate.errors import AddressError, ProtocolError
from tidegate.net.address import Address, parse_address
from tidegate.net.connection import Connection
from tidegate.net.endpoint import Endpoint, Limits
from tidegate.net.fanout import fan_out
from tidegate.net.mutual import ClusterTLS, accepting
from tidegate.net.silence import watch_idle
from tidegate.process import context
from tidegate.process.member import HasInnerPorts, Member, Stop
from tidegate.process.plan import Plan
from tidegate.process.server import Server
from tidegate.process.settings import RegisterSettings, resolve
from tidegate.register.lines import Lines
from tidegate.register.table import Table

__all__ = ["Register"]

logger = logging.getLogger("tidegate")

SEND_BUFFER_LIMIT = 1024 * 1024
"""Bytes of lists that may wait for a peer which does not read, before it is closed. One list may have any size."""
FIRST_LINE_SECONDS = 10
"""For a peer to say what it is."""
MAX_UNKNOWN = 1_000
"""Peers that have not said it yet; over that the oldest goes, since one that means well says it at once."""
MAX_PEERS = 10_000
"""Connections in all."""
STOP_STAGE = 2
"""Where the whole app stops, after its gateways and its workers."""


class Register(Server[RegisterSettings]):
    """The process where gateways announce themselves, and workers and push clients find them.

    Args:
        address: ``host:port``; a ``nats://`` URL says that the members meet on NATS instead, and that no process runs.
        secret_key: that all members of the cluster name; TIDEGATE_SECRET_KEY unless given.
        cluster_ssl: `ClusterTLS`, or its three file paths: TLS between the processes of the cluster.
        settle_seconds: after a start, for gateways to announce themselves again before anybody is told of them; 0 where
            the app that it is in starts as a whole, gateways and all.
        name: unique in its app; made from the port unless given.

    Attributes:
        address: with the port that it really has, once it listens.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:1236",
        *,
        secret_key: str | None = None,
        cluster_ssl: ClusterTLS | Sequence[str] | None = None,
        settle_seconds: float | None = None,
        name: str | None = None,
    ) -> None:
        parsed = None if is_nats(address) else _parse(address)
        super().__init__(parsed, name or (f"register-{parsed.port}" if parsed is not None else "nats"))
        self._nats = address if parsed is None else None
        self._given = {"secret_key": secret_key, "cluster_ssl": cluster_ssl, "settle_seconds": settle_seconds}
        self._has_gateways = False  # in its app
        self._table: Table[Connection] = Table("")
        self._unknown: dict[Connection, asyncio.TimerHandle] = {}
        self._settling: asyncio.TimerHandle | None = None
        self._telling: asyncio.Handle | None = None
        self._callbacks.on_connect = self._connected
        self._callbacks.on_message = self._received
        self._callbacks.on_close = self._lost

    @classmethod
    def from_settings(cls, row: Mapping[str, Any]) -> Self:
        """Make it of its row of the topology, as `describe` gave it."""
        settings = row["settings"]
        register = cls(
            row["listen"],
            secret_key=settings["secret_key"],
            cluster_ssl=settings["cluster_ssl"],
            settle_seconds=settings["settle_seconds"],
            name=row["name"],
        )
        register._has_gateways = settings["has_gateways"]
        return register

    def joined(self, members: Sequence[Member]) -> None:
        """Be told with whom it runs."""
        self._has_gateways = any(isinstance(member, HasInnerPorts) for member in members)

    @property
    def place(self) -> str | None:
        """Where the members of its own app meet; None where the system chooses its port."""
        if self._nats is not None:
            return self._nats
        assert self.address is not None
        host, port = self.address.host, self.address.port
        if not port:
            return None
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def settings(self, config: Mapping[str, Any]) -> RegisterSettings:
        """What holds for it: from code, environment, TOML and defaults.

        Raises:
            ConfigurationError: for what can't be.
        """
        settings = resolve(RegisterSettings, self.name, self._given, config)
        if settings.cluster_ssl is not None:
            accepting(settings.cluster_ssl)
        return settings

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Its row of the app's topology."""
        if self._nats is not None:
            parse_nats(self._nats)
            return {"name": self.name, "kind": "Register", "listen": None, "count": 0, "reloadable": False}
        settings = self.settings(config)
        return {
            **super().describe(config),
            "overlap": False,
            "stage": STOP_STAGE,
            "settings": {
                "secret_key": settings.secret_key,
                "cluster_ssl": settings.cluster_ssl,
                "settle_seconds": settings.settle_seconds,
                "has_gateways": self._has_gateways,
            },
        }

    def snapshot(self) -> dict[str, Any]:
        """What it has counted."""
        extra = {"gateways": self._table.gateways, "workers": self._table.workers}
        return {**super().snapshot(), "extra": extra}

    # Running

    async def listen(self) -> Self:
        """Listen, in the running process; nothing happens where the members meet on NATS."""
        return self if self._nats is not None else await super().listen()

    def _plan(self, settings: RegisterSettings) -> Plan:
        tls = accepting(settings.cluster_ssl) if settings.cluster_ssl is not None else None
        return Plan(Lines, Limits(send_buffer_limit=SEND_BUFFER_LIMIT), tls)

    async def _opening(self, settings: RegisterSettings) -> None:
        assert self.address is not None
        if not settings.secret_key and settings.cluster_ssl is None and not self.address.is_local:
            logger.warning(
                "%s listens on %s:%s without a secret_key: whoever reaches that port can join the cluster and push to "
                "every client. Set secret_key (or TIDEGATE_SECRET_KEY) for all its members",
                self.name,
                self.address.host,
                self.address.port,
            )
        starts_whole = self._has_gateways and context.current().is_first_start
        seconds = 0 if starts_whole else settings.settle_seconds
        self._table = Table(settings.secret_key, is_settling=seconds > 0)
        if seconds > 0:
            self._settling = asyncio.get_running_loop().call_later(seconds, self._settle)

    async def _serve(
        self, endpoint: Endpoint, sockets: Sequence[socket.socket], settings: RegisterSettings, plan: Plan
    ) -> None:
        for sock in sockets:
            watch_idle(sock)  # a gateway on a machine that is gone is not to be named for long
        await super()._serve(endpoint, sockets, settings, plan)

    async def _closed(self, stop: Stop) -> None:  # noqa: ARG002
        for timer in (self._settling, self._telling, *self._unknown.values()):
            if timer is not None:
                timer.cancel()
        self._settling = self._telling = None
        self._unknown.clear()

    def _settle(self) -> None:
        self._settling = None
        self._table.settle()
        self._tell()

    def _connected(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._unknown[connection] = loop.call_later(FIRST_LINE_SECONDS, self._expire, connection)
        if len(connection.endpoint.connections) > MAX_PEERS:
            self._refuse(connection, f"there are {MAX_PEERS} connections")
        elif len(self._unknown) > MAX_UNKNOWN:
            reason = f"over {MAX_UNKNOWN} connections have said nothing, and this is the oldest"
            self._refuse(next(iter(self._unknown)), reason)

    def _received(self, connection: Connection, line: str | bytes) -> None:
        try:
            answer = self._table.receive(connection, line)
        except ProtocolError as error:
            self._refuse(connection, f"it sent {error.reason}")
            return
        if self._table.knows(connection) and (timer := self._unknown.pop(connection, None)):
            timer.cancel()
        if answer is not None:
            connection.send(answer[:-1])
        self._tell_later()

    def _lost(self, connection: Connection) -> None:
        if timer := self._unknown.pop(connection, None):
            timer.cancel()
        self._table.leave(connection)
        self._tell_later()

    def _expire(self, connection: Connection) -> None:
        self._refuse(connection, f"it sent nothing in {FIRST_LINE_SECONDS} s")

    def _refuse(self, connection: Connection, reason: str) -> None:
        """Close a connection, and leave nothing of it in the table though its end may take a while."""
        endpoint = connection.endpoint
        endpoint.stats.protocol_errors += 1
        endpoint.throttle.log(
            logging.WARNING, "%s: a connection from %s is closed: %s", self.name, connection.remote_ip, reason
        )
        connection.close()
        self._lost(connection)

    def _tell_later(self) -> None:
        """Tell of what has changed once this turn has brought all that it does."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = None
        peers, line = self._table.take_news()
        if peers:
            fan_out(peers, line[:-1])


def _parse(address: str) -> Address:
    """Read a Register's address; PHP has ``text://`` before it."""
    try:
        parsed = parse_address(address if "://" in address else f"text://{address}")
    except AddressError:
        parsed = None
    if parsed is None or parsed.scheme != "text":
        raise AddressError(f"the address {address!r} is no Register's: write host:port, such as '127.0.0.1:1236'")
    return parsed

"""The HTTP door of a worker: an address at which the push API is carried out by the worker itself."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.client.api import AsyncPushAPI
from tidegate.errors import ConfigurationError
from tidegate.http.carrier import Links, WorkerCarrier
from tidegate.http.push import PushApp
from tidegate.net.address import parse_address
from tidegate.net.asgi import ASGIServer
from tidegate.net.codecs import codec_maker
from tidegate.net.endpoint import Endpoint, Limits
from tidegate.net.tls import TLS, make_certificates
from tidegate.process.member import Stop
from tidegate.process.plan import Plan
from tidegate.process.server import Server, default_name

__all__ = ["HTTPDoor"]


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Those of every door: each of the worker's processes opens it, and it goes where the worker goes."""

    count: int = 1
    drain_seconds: float = 0
    reuse_port: bool = True
    reloadable: bool = True


class HTTPDoor(Server[DoorSettings]):
    """Opened and closed by the worker.

    Args:
        push: carries calls out.
        links: its links to the gateways.
        address: such as ``http://127.0.0.1:8585``.
        token: that requests have to show; None where only programs of this machine can reach the address.
        ssl: as with `Worker`.

    Raises:
        ConfigurationError: the address, the token or the certificate can't be used, or others can reach it and
            there is no token.
    """

    def __init__(
        self, push: AsyncPushAPI, links: Links, address: str, token: str | None, ssl: TLS | None = None
    ) -> None:
        parsed = parse_address(address)
        if parsed.scheme != "http":
            raise ConfigurationError(f"serve_http takes an http:// address, not {address}")
        if token is None and not parsed.is_local:
            raise ConfigurationError(
                f"serve_http on {address} needs a token=, for others can reach that address; "
                "without one it listens on 127.0.0.1, [::1] or localhost only"
            )
        super().__init__(parsed, default_name(parsed))
        self._app = PushApp(WorkerCarrier(push, links), token)
        self._certificates = make_certificates(ssl) if ssl is not None else None
        self._asgi: ASGIServer | None = None

    def settings(self, config: Mapping[str, Any]) -> DoorSettings:  # noqa: ARG002
        """None that anybody sets."""
        return DoorSettings()

    def _plan(self, settings: DoorSettings) -> Plan:  # noqa: ARG002
        return Plan(codec_maker("http"), Limits(), self._certificates)

    async def _serve(
        self,
        endpoint: Endpoint,
        sockets: Sequence[socket.socket],
        settings: DoorSettings,  # noqa: ARG002
        plan: Plan,
    ) -> None:
        self._asgi = ASGIServer(self._app, endpoint)
        await self._asgi.start()
        self._accept(self._asgi, sockets, plan)

    async def _leaving(self, stop: Stop) -> None:
        if self._asgi is not None:
            await self._asgi.stop(stop.seconds_left)

    async def _closed(self, stop: Stop) -> None:  # noqa: ARG002
        self._asgi = None

    def snapshot(self) -> dict[str, Any]:
        """What it has counted in this process."""
        counters = super().snapshot()
        if self._asgi is not None:
            counters["connections"] = self._asgi.connections
            counters["messages_in"] = counters["messages_out"] = self._asgi.requests
        return counters

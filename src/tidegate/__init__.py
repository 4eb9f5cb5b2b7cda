"""Tidegate, a real-time push gateway: it holds client connections and lets any backend push to them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidegate import business

if TYPE_CHECKING:
    from tidegate.app import App
    from tidegate.business.client import Client
    from tidegate.business.worker import BusinessWorker
    from tidegate.client.asynchronous import AsyncGatewayClient
    from tidegate.client.blocking import GatewayClient
    from tidegate.gateway.gateway import Gateway
    from tidegate.gateway.identity import Identity
    from tidegate.gateway.jwt_auth import JWTAuth
    from tidegate.net.connection import Connection
    from tidegate.net.mutual import ClusterTLS
    from tidegate.net.timers import after, every
    from tidegate.process.member import Member
    from tidegate.register.register import Register
    from tidegate.worker import Worker

__all__ = [
    "App",
    "AsyncGatewayClient",
    "BusinessWorker",
    "Client",
    "ClusterTLS",
    "Connection",
    "Gateway",
    "GatewayClient",
    "Identity",
    "JWTAuth",
    "Register",
    "Worker",
    "after",
    "every",
]

PLACES = {
    "App": "tidegate.app",
    "AsyncGatewayClient": "tidegate.client.asynchronous",
    "BusinessWorker": "tidegate.business.worker",
    "Client": "tidegate.business.client",
    "ClusterTLS": "tidegate.net.mutual",
    "Connection": "tidegate.net.connection",
    "Gateway": "tidegate.gateway.gateway",
    "GatewayClient": "tidegate.client.blocking",
    "Identity": "tidegate.gateway.identity",
    "JWTAuth": "tidegate.gateway.jwt_auth",
    "Register": "tidegate.register.register",
    "Worker": "tidegate.worker",
    "after": "tidegate.net.timers",
    "every": "tidegate.net.timers",
}
"""Each is imported when it is asked for: a website needs a client alone, and the process of a gateway no worker."""


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _make_http_door(*arguments: Any, **named: Any) -> Member:
    from tidegate.http.door import HTTPDoor

    return HTTPDoor(*arguments, **named)


business.make_http_door = _make_http_door

"""Tidegate, a real-time push gateway: it holds client connections and lets any backend push to them."""

from __future__ import annotations

from tidegate.app import App
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.client.blocking import GatewayClient
from tidegate.gateway.gateway import Gateway
from tidegate.gateway.identity import Identity
from tidegate.gateway.jwt_auth import JWTAuth
from tidegate.http.door import HTTPDoor
from tidegate.net.connection import Connection
from tidegate.net.mutual import ClusterTLS
from tidegate.net.timers import after, every
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

BusinessWorker.http_door = HTTPDoor

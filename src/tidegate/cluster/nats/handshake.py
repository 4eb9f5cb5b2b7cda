"""The beginning of a connection to a NATS server, without I/O: INFO, TLS where it is asked for, CONNECT, and the PONG
that says that the server has taken the client.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tidegate.cluster.nats.auth import connect_fields
from tidegate.cluster.nats.protocol import PING, PONG, Event, Info, Message, Refusal, encode_connect
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.errors import ClusterError

__all__ = ["Handshake"]

AUTH_WORDS = ("authorization", "authentication", "revoked", "expired")


class Handshake:
    """Of one connection.

    Args:
        name: of the client, as the server shows it to who operates it.

    Attributes:
        info: what the server said first.
        wants_tls: the connection is to be made secure now, and then `secured` gives what to say.
        is_done: the server has taken the client.
    """

    __slots__ = ("_name", "_place", "_server", "info", "is_done", "wants_tls")

    def __init__(self, place: NatsPlace, server: Server, name: str) -> None:
        self._place = place
        self._server = server
        self._name = name
        self.info: Info | None = None
        self.wants_tls = False
        self.is_done = False

    def take(self, event: Event) -> bytes:
        """Take an event; gives what is to be said then.

        Raises:
            ClusterError: the server refuses, or says what can't be.
            ConfigurationError: the client has not what it needs to come in.
        """
        if isinstance(event, Info):
            return self._greeted(event)
        if isinstance(event, Refusal):
            raise self._refused(event.text)
        if isinstance(event, Message) or self.info is None or self.wants_tls:
            raise ClusterError(f"NATS server {self._server} spoke out of turn: what listens there is none")
        if event.name == "PING":
            return PONG
        if event.name == "PONG":
            self.is_done = True
        return b""

    def secured(self) -> bytes:
        """The connection is secure now; gives what is to be said then.

        Raises:
            ConfigurationError: the client has not what it needs to come in.
        """
        self.wants_tls = False
        return self._connect()

    @property
    def missing(self) -> str:
        """What was not said, where the time for it is over."""
        if self.info is None:
            return f"{self._server} took the connection and says nothing: what listens there may be no NATS server"
        return f"NATS server {self._server} did not take us in time"

    def _greeted(self, info: Info) -> bytes:
        if self.info is not None:  # it has changed meanwhile
            self.info = info
            return b""
        self.info = info
        if info.fields.get("tls_required") or (self._place.needs_tls and info.fields.get("tls_available")):
            self.wants_tls = True
            return b""
        if self._place.needs_tls:
            raise ClusterError(f"NATS server {self._server} offers no TLS, without which nothing is said to it here")
        return self._connect()

    def _connect(self) -> bytes:
        assert self.info is not None
        fields: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "lang": "python-tidegate",
            "version": _own_version(),
            "protocol": 1,  # INFO may come again
            "name": self._name,
            "headers": True,
            "no_responders": True,
            **connect_fields(self._place, self.info),
        }
        return encode_connect(fields) + PING

    def _refused(self, text: str) -> ClusterError:
        told = f"NATS server {self._server} refuses us: {text}"
        if any(word in text.lower() for word in AUTH_WORDS):
            told += ". Check the user and password, the token or the creds file of the cluster's URL"
        return ClusterError(told)


def _own_version() -> str:
    try:
        return version("tidegate")
    except PackageNotFoundError:
        return "0"

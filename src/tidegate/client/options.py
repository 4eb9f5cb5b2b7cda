"""What the clients are told when they are made: from the code, else from the environment, else the default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.client.arguments import encode_json
from tidegate.cluster.nats.url import NatsPlace
from tidegate.cluster.place import read_cluster
from tidegate.cluster.trust import Trust, trust
from tidegate.errors import ConfigurationError
from tidegate.wire.commands import GATEWAY_CLIENT_CONNECT
from tidegate.wire.packet import pack

__all__ = ["Options", "read_options"]

DEFAULT_CLUSTER = "127.0.0.1:1236"


@dataclass(frozen=True, slots=True)
class Options:
    """What a client goes by.

    Attributes:
        registers: ``host:port`` of each Register; none where the cluster is on NATS.
        connect_timeout: seconds for a Register, a gateway or NATS to accept a connection.
        timeout: seconds for it to answer, or to take what is sent.
        hello: bytes that come first on a connection to a gateway.
        nats: where the cluster is, where it is on NATS.
        trust: for TLS; None where there is none.
    """

    registers: tuple[str, ...]
    secret_key: str = field(repr=False)
    connect_timeout: float
    timeout: float
    hello: bytes = field(repr=False)
    nats: NatsPlace | None = None
    trust: Trust | None = None

    @property
    def of_register(self) -> tuple[tuple[str, ...], str, float, float, Trust | None]:
        """What a lookup takes."""
        return self.registers, self.secret_key, self.connect_timeout, self.timeout, self.trust


def read_options(
    cluster: str | Sequence[str] | None,
    secret_key: str | None,
    connect_timeout: float,
    timeout: float,
    cluster_ssl: Sequence[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Options:
    """Put a client's options together; None is what the code leaves unset.

    Raises:
        ConfigurationError: one of them can't be used.
    """
    if cluster is None:
        cluster = environ.get("TIDEGATE_CLUSTER") or DEFAULT_CLUSTER
    if secret_key is None:
        secret_key = environ.get("TIDEGATE_SECRET_KEY", "")
    if not isinstance(secret_key, str) or not secret_key.isprintable() or set('"\\') & set(secret_key):
        # GatewayWorker's gateways write the secret into JSON as it is.
        raise ConfigurationError('secret_key is not right: it takes a text without ", \\ and control characters')
    for name, seconds in (("connect_timeout", connect_timeout), ("timeout", timeout)):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
            raise ConfigurationError(f"{name} is {seconds!r}: it takes seconds, more than 0")
    if cluster_ssl is None and (files := environ.get("TIDEGATE_CLUSTER_SSL")):
        cluster_ssl = [path.strip() for path in files.split(",")]
    hello = pack(GATEWAY_CLIENT_CONNECT, body=encode_json({"secret_key": secret_key})) if secret_key else b""
    place = read_cluster(cluster)
    registers, nats = ((), place) if isinstance(place, NatsPlace) else (place, None)
    return Options(registers, secret_key, connect_timeout, timeout, hello, nats, trust(cluster_ssl))

"""How a server makes the connections that it takes: what its address and its settings come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tidegate.errors import ConfigurationError
from tidegate.net.address import Address
from tidegate.net.admission import Judge
from tidegate.net.certificates import Certificates
from tidegate.net.codecs import codec_maker, has_handshake
from tidegate.net.connection import Connection
from tidegate.net.endpoint import Limits
from tidegate.net.gate import Gate
from tidegate.net.meter import MeteredConnection
from tidegate.net.origins import Origins
from tidegate.net.tls import make_certificates
from tidegate.process.settings import ListenSettings

__all__ = ["Plan", "check_handshake"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server's connections are made.

    Attributes:
        make_codec: makes a connection's protocol.
        limits: of each.
        tls: with which each is secure.
        connection_class: what each is.
        ids: their numbers; those of all the process's connections unless given.
        origins: of web pages that may connect; None for all.
        judge: who else decides whether a handshake is accepted.
        judged_at_once: how many that may be about at a time.
        gate: says who may come in.
        answers_http: whoever may not can be told so in HTTP at once.
    """

    make_codec: Callable[[], Any]
    limits: Limits
    tls: Certificates | None = None
    connection_class: type[Connection] = Connection
    ids: Iterator[int] | None = None
    origins: Origins | None = None
    judge: Judge | None = None
    judged_at_once: int = 1
    gate: Gate = field(default_factory=Gate)
    answers_http: bool = False

    @classmethod
    def of(
        cls,
        address: Address | None,
        settings: ListenSettings,
        protocol: Callable[[], Any] | None = None,
        connection_classes: tuple[type[Connection], type[Connection]] = (Connection, MeteredConnection),
        **more: Any,
    ) -> Plan:
        """Make it as an address, the settings and a codec class of the user's own say; the rest is given besides.

        Args:
            connection_classes: without a meter for what clients send, and with one.
        """
        make_codec = codec_maker(
            address.scheme if address else "tcp",
            protocol,
            encoding=settings.encoding,
            max_message_size=settings.max_message_size,
            compression=settings.compression,
            subprotocols=settings.subprotocols,
            max_request_size=settings.max_request_size,
        )
        limits = Limits(
            send_buffer_limit=settings.send_buffer_limit,
            slow_consumer=cast("Literal['close', 'drop']", settings.slow_consumer),
            handshake_seconds=settings.handshake_timeout,
            max_handshakes=settings.max_handshakes,
            close_seconds=settings.close_timeout,
            messages_per_second=settings.max_messages_per_second,
            bytes_per_second=settings.max_bytes_per_second,
            over_rate=cast("Literal['pause', 'close']", settings.over_rate),
        )
        judges = address is not None and has_handshake(address.scheme, protocol)
        origins = Origins(settings.origins) if settings.origins and judges else None
        tls = make_certificates(settings.ssl) if settings.ssl is not None else None
        gate = Gate(
            settings.max_connections,
            settings.max_connections_per_ip,
            settings.trusted_proxies,
            settings.proxy_protocol,
        )
        answers_http = judges and tls is None
        plain, metered = connection_classes
        kind = metered if limits.are_metered else plain
        return cls(make_codec, limits, tls, kind, origins=origins, gate=gate, answers_http=answers_http, **more)


def check_handshake(what: str, address: Address | None, protocol: Callable[[], Any] | None) -> None:
    """See that clients of an address begin with a request that can be looked at.

    Args:
        what: needs that, for the error.

    Raises:
        ConfigurationError: they don't.
    """
    if address is None or not has_handshake(address.scheme, protocol):
        where = f"{address.scheme}://" if address is not None else "a worker without an address"
        raise ConfigurationError(
            f"{what} needs a websocket:// address: {where} has no handshake that could be looked at. "
            "Have its clients log in by a message"
        )

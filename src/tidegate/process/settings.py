"""Settings of a member of an app: from code, else from the environment, else from a TOML file, else the default.

    environment     TIDEGATE_SEND_BUFFER_LIMIT=65536            every member that has this setting
                    TIDEGATE_CHAT_SEND_BUFFER_LIMIT=65536       the one named "chat"
    TOML            send_buffer_limit = 65536                   every member that has this setting
                    [worker.chat]                               the one named "chat", of whichever kind
                    send_buffer_limit = 65536

A more particular place wins over a more general one of the same kind.
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from tidegate.errors import ConfigurationError
from tidegate.net.mutual import ClusterTLS
from tidegate.net.tls import TLS
from tidegate.process import values
from tidegate.process.values import Kind, one_of, seconds, whole

__all__ = [
    "BusinessSettings",
    "GatewaySettings",
    "ListenSettings",
    "RegisterSettings",
    "WorkerSettings",
    "given_in",
    "load_config",
    "resolve",
]

PREFIX = "TIDEGATE_"
MIB = 1024 * 1024
MAX_PACKET_SIZE = 10_485_760
"""Bytes of a packet between the processes of a cluster, over which PHP closes the link."""


class Settings(Protocol):
    """What all kinds have: a word for the member in errors."""

    noun: ClassVar[str]


S = TypeVar("S", bound=Settings)

Positive = Annotated[int, whole(1)]
NotNegative = Annotated[int, whole(0)]
Port = Annotated[int, whole(1, 65535)]
SecondsOrZero = Annotated[float, seconds(or_zero=True)]
Seconds = Annotated[float, seconds(or_zero=False)]
Switch = Annotated[bool, values.SWITCH]
Text = Annotated[str, values.TEXT]
Secret = Annotated[str, values.SECRET]
ClusterFiles = Annotated[ClusterTLS | None, values.CLUSTER_FILES]
Addresses = Annotated[tuple[str, ...], values.ADDRESSES]


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """What `Worker` and `Gateway` can both be told; `Worker`'s docstring says what each is."""

    count: Positive = 1
    ssl: Annotated[TLS | None, values.FILES] = None
    encoding: Annotated[str | None, values.ENCODING] = None
    compression: Switch = False
    subprotocols: Annotated[tuple[str, ...], values.NAMES] = ()
    max_message_size: Annotated[int | None, whole(1)] = None
    send_buffer_limit: Positive = MIB
    slow_consumer: Annotated[str, one_of("close", "drop")] = "close"
    origins: Annotated[tuple[str, ...], values.ORIGINS] = ()
    handshake_timeout: Positive = 10
    close_timeout: Positive = 5
    max_connections: NotNegative = 100_000
    max_connections_per_ip: NotNegative = 0
    max_handshakes: Positive = 10_000
    max_request_size: Positive = 16 * 1024
    max_messages_per_second: NotNegative = 0
    max_bytes_per_second: NotNegative = 0
    over_rate: Annotated[str, one_of("pause", "close")] = "pause"
    trusted_proxies: Annotated[tuple[str, ...], values.NETWORKS] = ()
    proxy_protocol: Switch = False
    drain_seconds: SecondsOrZero = 10


@dataclass(frozen=True, slots=True)
class WorkerSettings(ListenSettings):
    """What a `Worker` can be told; its docstring says what each is."""

    noun: ClassVar[str] = "worker"
    reuse_port: Switch = False
    reloadable: Switch = True


@dataclass(frozen=True, slots=True)
class GatewaySettings(ListenSettings):
    """What a `Gateway` can be told; its docstring says what each is."""

    noun: ClassVar[str] = "gateway"
    reuse_port: ClassVar[bool] = False
    reloadable: Switch = False
    auth: Annotated[Callable[..., Any] | None, values.AUTH] = field(default=None, repr=False)
    auth_concurrency: Positive = 100
    lan_ip: Text = "127.0.0.1"
    inner_listen: Annotated[str | None, values.TEXT] = None
    start_port: Port = 2900
    cluster: Addresses = field(default=("127.0.0.1:1236",), repr=False)
    register: Annotated[tuple[str, ...] | None, values.ADDRESSES] = None
    zone: Text = "default"
    secret_key: Secret = field(default="", repr=False)
    cluster_ssl: ClusterFiles = None
    ping_interval: Annotated[float | None, seconds(or_zero=True)] = None
    ping_not_response_limit: NotNegative = 2
    ping_data: Annotated[str | bytes | None, values.MESSAGE] = None
    router: Annotated[str | Callable[..., Any], one_of("least", "random", or_function=True)] = "least"
    worker_wait_seconds: Seconds = 5
    worker_wait_limit: Positive = MIB
    send_to_worker_limit: Positive = 16 * MIB
    max_packet_size: Positive = MAX_PACKET_SIZE
    max_groups_per_client: Positive = 10_000
    max_session_size: Positive = MIB
    authenticate_within: SecondsOrZero = 0

    @property
    def session_limit(self) -> int:
        """Bytes of a session: it stands in each of its client's events, beside what these carry."""
        return min(self.max_session_size, self.max_packet_size // 2)


@dataclass(frozen=True, slots=True)
class RegisterSettings:
    """What a `Register` can be told; its docstring says what each is."""

    noun: ClassVar[str] = "register"
    count: ClassVar[int] = 1
    drain_seconds: ClassVar[float] = 0
    reuse_port: ClassVar[bool] = False
    reloadable: Switch = False
    secret_key: Secret = field(default="", repr=False)
    cluster_ssl: ClusterFiles = None
    settle_seconds: SecondsOrZero = 2


@dataclass(frozen=True, slots=True)
class BusinessSettings:
    """What a `BusinessWorker` can be told; its docstring says what each is."""

    noun: ClassVar[str] = "business worker"
    count: Positive = 1
    reloadable: Switch = True
    cluster: Addresses = field(default=("127.0.0.1:1236",), repr=False)
    zone: Text = "default"
    secret_key: Secret = field(default="", repr=False)
    cluster_ssl: ClusterFiles = None
    threads: NotNegative = 0
    max_pending_events: Positive = 10_000
    handler_timeout: SecondsOrZero = 30
    send_to_gateway_limit: Positive = 16 * MIB
    max_packet_size: Positive = MAX_PACKET_SIZE


@functools.cache
def _kinds(settings: type[Any]) -> Mapping[str, Kind]:
    """Its fields, each with the kind of its values."""
    hints = get_type_hints(settings, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated}


NAMES = tuple(
    dict.fromkeys(
        name
        for settings in (WorkerSettings, GatewaySettings, RegisterSettings, BusinessSettings)
        for name in _kinds(settings)
    )
)


def load_config(path: str | None) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigurationError: where it is missing, is no TOML, or has a name that means nothing.
    """
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:
            config = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no configuration file {path}") from None
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} is no TOML: {error}") from error
    tables = config.get("worker", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{path}: [worker] has a table for each worker: [worker.NAME]")
    for table in ({name: value for name, value in config.items() if name != "worker"}, *tables.values()):
        for name in table:
            if name not in NAMES:
                raise ConfigurationError(f"{path}: there is no setting {name!r}; there are {', '.join(NAMES)}")
    return config


def given_in(arguments: Mapping[str, Any], settings: type[Settings]) -> dict[str, Any]:
    """What the code says: those of a constructor's arguments that are settings of its kind."""
    return {name: arguments[name] for name in _kinds(settings) if name in arguments}


def resolve(
    settings: type[S],
    member: str,
    given: Mapping[str, Any],
    config: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
) -> S:
    """Put a member's settings together.

    Args:
        settings: the dataclass of its kind.
        member: its name.
        given: what the code says; None is what it leaves unset.

    Raises:
        ConfigurationError: which names the setting and where it came from.
    """
    variable = PREFIX + re.sub(r"[^A-Z0-9]+", "_", member.upper())
    own = config.get("worker", {}).get(member, {})
    found: dict[str, Any] = {}
    for name, kind in _kinds(settings).items():
        candidates = (
            (given.get(name), f"{name} of {settings.noun} {member!r}"),
            (_read(environ, f"{variable}_{name.upper()}", kind), f"{variable}_{name.upper()}"),
            (_read(environ, f"{PREFIX}{name.upper()}", kind), f"{PREFIX}{name.upper()}"),
            (own.get(name), f"{name} in [worker.{member}]"),
            (config.get(name), f"{name} in the configuration file"),
        )
        for value, source in candidates:
            if value is not None:
                found[name] = _check(kind, value, source)
                break
    return settings(**found)


def _read(environ: Mapping[str, str], variable: str, kind: Kind) -> Any:
    text = environ.get(variable)
    return None if text is None else kind.read(text)


def _check(kind: Kind, value: Any, source: str) -> Any:
    if not kind.is_right(value):
        shown = "" if kind.is_secret else f" is {value!r}"
        raise ConfigurationError(f"{source}{shown}: {kind.complaint}")
    return kind.keep(value)

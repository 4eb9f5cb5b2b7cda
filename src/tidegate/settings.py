"""Settings of a worker: from code, else from the environment, else from a TOML file, else the default.

    environment     TIDEGATE_SEND_BUFFER_LIMIT=65536            every worker
                    TIDEGATE_CHAT_SEND_BUFFER_LIMIT=65536       the one named "chat"
    TOML            send_buffer_limit = 65536                   every worker
                    [worker.chat]                               the one named "chat"
                    send_buffer_limit = 65536

A more particular place wins over a more general one of the same kind.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.net.tls import TLS

__all__ = ["WorkerSettings", "load_config", "resolve"]

PREFIX = "TIDEGATE_"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a `Worker` can be told; its docstring says what each is."""

    count: int = 1
    reuse_port: bool = False
    ssl: TLS | None = None
    encoding: str | None = None
    compression: bool = False
    subprotocols: tuple[str, ...] = ()
    max_message_size: int | None = None
    send_buffer_limit: int = 1024 * 1024
    slow_consumer: str = "close"
    handshake_timeout: int = 10
    close_timeout: int = 5
    reloadable: bool = True


NAMES = tuple(field.name for field in dataclasses.fields(WorkerSettings))
NUMBERS = ("count", "max_message_size", "send_buffer_limit", "handshake_timeout", "close_timeout")
SWITCHES = ("reuse_port", "compression", "reloadable")
LISTS = ("subprotocols", "ssl")


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


def resolve(
    worker: str, given: Mapping[str, Any], config: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> WorkerSettings:
    """Put a worker's settings together.

    Args:
        worker: its name.
        given: what the code says; None is what it leaves unset.

    Raises:
        ConfigurationError: which names the setting and where it came from.
    """
    variable = re.sub(r"[^A-Z0-9]+", "_", worker.upper())
    values: dict[str, Any] = {}
    for name in NAMES:
        own = config.get("worker", {}).get(worker, {})
        candidates = (
            (given.get(name), f"{name} of worker {worker!r}"),
            (_read(environ, f"{PREFIX}{variable}_{name.upper()}", name), f"{PREFIX}{variable}_{name.upper()}"),
            (_read(environ, f"{PREFIX}{name.upper()}", name), f"{PREFIX}{name.upper()}"),
            (own.get(name), f"{name} in [worker.{worker}]"),
            (config.get(name), f"{name} in the configuration file"),
        )
        for value, source in candidates:
            if value is not None:
                values[name] = _check(name, value, source)
                break
    return WorkerSettings(**values)


def _read(environ: Mapping[str, str], variable: str, name: str) -> Any:
    """A variable's value in the setting's type; as it is where it can't be read, for the check to refuse."""
    text = environ.get(variable)
    if text is None:
        return None
    if name in NUMBERS and re.fullmatch(r"\d+", text):
        return int(text)
    if name in SWITCHES and text.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        return text.lower() in ("1", "true", "yes", "on")
    if name in LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _check(name: str, value: Any, source: str) -> Any:
    if name in NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigurationError(f"{source} is {value!r}: it takes a whole number above 0")
    elif name in SWITCHES:
        if not isinstance(value, bool):
            raise ConfigurationError(f"{source} is {value!r}: it takes true or false")
    elif name == "slow_consumer":
        if value not in ("close", "drop"):
            raise ConfigurationError(f"{source} is {value!r}: it takes 'close' or 'drop'")
    elif name == "encoding":
        try:
            "".encode(value)
        except (LookupError, TypeError, ValueError):
            raise ConfigurationError(f"{source} is {value!r}: Python has no such encoding") from None
    elif name == "subprotocols":
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ConfigurationError(f"{source} is {value!r}: it takes a list of names")
        return tuple(value)
    return value

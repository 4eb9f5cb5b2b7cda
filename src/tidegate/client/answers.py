"""What gateways answer, read and merged (wire protocol, the table of commands and "In answers").

Readers take a gateway's address and its answer and raise PHPValueError where it is not what it has to be; mergers
make one result of what several gateways said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias, TypeVar

from tidegate.errors import ConfigurationError
from tidegate.wire import php
from tidegate.wire.client_id import format_client_id, pack_ip
from tidegate.wire.php import PHPValueError

__all__ = [
    "Row",
    "add_counts",
    "clients_by_group",
    "lengths",
    "merge_clients_by_uid",
    "merge_counts",
    "merge_lists",
    "merge_maps",
    "read_client_ids",
    "read_client_ids_by_uid",
    "read_count",
    "read_counts",
    "read_names",
    "read_renewal",
    "read_rows",
    "read_session",
    "read_sessions",
    "uids",
    "uids_by_group",
    "unique",
]

T = TypeVar("T")
Session: TypeAlias = dict[Any, Any]
Row: TypeAlias = tuple[str | None, list[str]]
"""A client's uid and groups, as far as they were asked for."""

MAX_CONNECTION_ID = 2**32 - 1


def read_count(_address: str, answer: bytes) -> int:
    """A number."""
    return _count(php.loads(answer))


def read_names(_address: str, answer: bytes) -> list[str]:
    """A list of groups."""
    return [_name(value) for value in _values(php.loads(answer))]


def read_client_ids(address: str, answer: bytes) -> list[str]:
    """A list of connection ids, as client ids."""
    return list(map(_client_ids_of(address), _values(php.loads(answer))))


def read_client_ids_by_uid(address: str, answer: bytes) -> dict[str, list[str]]:
    """``{uid: [connection id]}``, as ``{uid: [client_id]}``."""
    client_id = _client_ids_of(address)
    return {_name(uid): list(map(client_id, _values(ids))) for uid, ids in php.loads_array(answer).items()}


def read_renewal(gateway: str, answer: bytes) -> bool:
    """Whether a token was good; an error where the gateway says that it can't tell.

    Raises:
        ConfigurationError: its text.
    """
    found = php.loads(answer)
    if isinstance(found, str):
        raise ConfigurationError(f"gateway {gateway} can't renew_auth: {found}")
    if isinstance(found, bool) or not isinstance(found, int):
        raise PHPValueError(f"{type(found).__name__}, where 0 or 1 is expected")
    return found != 0


def read_counts(_address: str, answer: bytes) -> dict[str, int]:
    """``{group: number}``."""
    return {_name(group): _count(number) for group, number in php.loads_array(answer).items()}


def read_session(client_id: str) -> Callable[[str, bytes], Session | None]:
    """A reader of this client's session; None where there is no such client."""

    def read(_address: str, answer: bytes) -> Session | None:
        return None if answer == b"N;" else _session(client_id, answer)

    return read


def read_sessions(address: str, answer: bytes) -> dict[str, Session]:
    """``{connection id: session as stored}``, as ``{client_id: dict}``."""
    client_id = _client_ids_of(address)
    sessions = {}
    for number, stored in php.loads_array(answer).items():
        if not isinstance(stored, str | bytes):
            raise PHPValueError(f"the session of {client_id(number)} is {_kind(stored)}, not a string")
        data = stored.encode() if isinstance(stored, str) else stored
        sessions[client_id(number)] = _session(client_id(number), data) if data else {}
    return sessions


def read_rows(address: str, answer: bytes) -> dict[str, Row]:
    """``{connection id: {field: value}}``, as ``{client_id: row}``."""
    client_id = _client_ids_of(address)
    return {client_id(number): _row(fields) for number, fields in php.loads_array(answer).items()}


def add_counts(answers: Iterable[int]) -> int:
    """Of all gateways together."""
    return sum(answers)


def merge_lists(answers: Iterable[list[str]]) -> list[str]:
    """What any of them named, each once."""
    return unique(chain.from_iterable(answers))


def merge_maps(answers: Iterable[dict[str, T]]) -> dict[str, T]:
    """What all of them said of their own clients."""
    return {client_id: value for answer in answers for client_id, value in answer.items()}


def merge_clients_by_uid(asked: Iterable[str]) -> Callable[[list[dict[str, list[str]]]], dict[str, list[str]]]:
    """A merger of ``{uid: [client_id]}``: every uid asked for, in that order."""

    def merge(answers: list[dict[str, list[str]]]) -> dict[str, list[str]]:
        return {uid: unique(chain.from_iterable(answer.get(uid, ()) for answer in answers)) for uid in asked}

    return merge


def merge_counts(asked: Iterable[str]) -> Callable[[list[dict[str, int]]], dict[str, int]]:
    """A merger of ``{group: number}``: every group asked for, in that order."""

    def merge(answers: list[dict[str, int]]) -> dict[str, int]:
        return {group: sum(answer.get(group, 0) for answer in answers) for group in asked}

    return merge


def unique(values: Iterable[T]) -> list[T]:
    """Each once, in order."""
    return list(dict.fromkeys(values))


def uids(rows: Mapping[str, Row]) -> list[str]:
    """Each uid once."""
    return unique(uid for uid, _ in rows.values() if uid is not None)


def uids_by_group(rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """``{group: [uid]}``; a group whose members have no uid is not there."""
    return _by_group((uid, groups) for uid, groups in rows.values() if uid is not None)


def clients_by_group(rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """``{group: [client_id]}``."""
    return _by_group((client_id, groups) for client_id, (_, groups) in rows.items())


def lengths(lists: Mapping[str, list[str]]) -> dict[str, int]:
    """How many there are under each name."""
    return {name: len(values) for name, values in lists.items()}


def _by_group(members: Iterable[tuple[str, list[str]]]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for member, groups in members:
        for group in groups:
            found.setdefault(group, {})[member] = None
    return {group: list(names) for group, names in found.items()}


def _client_ids_of(address: str) -> Callable[[Any], str]:
    """Makes client ids of a gateway's connection ids."""
    host, _, port = address.rpartition(":")
    ip, number = pack_ip(host), int(port)

    def client_id(connection_id: Any) -> str:
        if type(connection_id) is not int or not 0 < connection_id <= MAX_CONNECTION_ID:
            raise PHPValueError(f"{_kind(connection_id)} where a connection id was expected")
        return format_client_id(ip, number, connection_id)

    return client_id


def _values(value: Any) -> Iterator[Any]:
    """A list's values, or those of a list with holes, which is a map to PHP."""
    if not isinstance(value, list | dict):
        raise PHPValueError(f"{_kind(value)} where a list was expected")
    return iter(value.values() if isinstance(value, dict) else value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise PHPValueError(f"{_kind(value)} where a number was expected")
    return value


def _name(value: Any) -> str:
    """A uid or a group; a decimal integer is one as a key and in a list."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    raise PHPValueError(f"{_kind(value)} where a uid or a group was expected")


def _row(fields: Any) -> Row:
    if not isinstance(fields, dict):
        if fields == []:
            return None, []
        raise PHPValueError(f"{_kind(fields)} where a client's fields were expected")
    uid, groups = fields.get("uid"), fields.get("groups")
    return None if uid is None else _name(uid), [] if groups is None else [_name(group) for group in _values(groups)]


def _session(client_id: str, data: bytes) -> Session:
    try:
        return php.loads_array(data)
    except PHPValueError as error:
        raise PHPValueError(f"the session of {client_id} is {error}") from None


def _kind(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"

"""SELECT: fields of the clients that are of a uid, in a group, or have a connection id (wire protocol, command 25)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tidegate.gateway.parameters import CommandError, names, values
from tidegate.gateway.tables import TableClient, Tables
from tidegate.wire import php

__all__ = ["SelectClient", "select"]

NULL = php.dumps(None)
EMPTY = php.dumps([])


class SelectClient(TableClient, Protocol):
    """What can be selected besides uid and groups."""

    session: bytes


def select(tables: Tables[Any], query: Any) -> bytes:
    """Carry it out; gives the answer, serialized.

    Raises:
        CommandError: for what it does not say.
    """
    if not query:  # an empty list or object, as the original has it
        return EMPTY
    if not isinstance(query, dict):
        raise CommandError("a SELECT that is no object")
    listed = query.get("fields")
    if isinstance(listed, dict):
        listed = list(listed.values())
    if not isinstance(listed, list) or not all(isinstance(field, str) for field in listed):
        raise CommandError("a SELECT without a list of fields")
    fields: list[str] = list(dict.fromkeys(listed))
    heads = [php.dumps_key(field) for field in fields]
    values_of = [_reader(field) for field in fields]
    rows = []
    for client in _where(tables, query.get("where")):
        row = b"".join([head + value_of(client) for head, value_of in zip(heads, values_of, strict=True)])
        rows.append(b"i:%d;a:%d:{%b}" % (client.id, len(heads), row))
    return b"a:%d:{%b}" % (len(rows), b"".join(rows))


def _where(tables: Tables[Any], where: Any) -> Iterable[Any]:
    """The clients that are meant, each once."""
    if not where:
        return tables.all()
    if not isinstance(where, dict):
        raise CommandError("a SELECT whose where is no object")
    found: dict[int, Any] = {}
    for key, items in where.items():
        match key:
            case "groups":
                found |= tables.of_groups(names(items))
            case "uid":
                found |= {client.id: client for client in tables.of_uids(names(items))}
            case "connection_id":
                found |= {number: client for number in values(items) if (client := tables.find(number)) is not None}
            case _:
                raise CommandError(f"a SELECT where {key!r}: there are groups, uid and connection_id")
    return found.values()


def _reader(field: str) -> Callable[[SelectClient], bytes]:
    """What gives a field of a client, serialized."""
    match field:
        case "uid":
            return _uid
        case "session":
            return lambda client: php.dump_bytes(client.session)
        case "groups":
            known: dict[bytes, bytes] = {}  # many clients are in the same ones

            def groups(client: SelectClient) -> bytes:
                if client.groups is None:
                    return NULL
                items = []
                for name in client.groups:
                    item = known.get(name)
                    if item is None:
                        item = known[name] = php.dumps_key(name) + php.dump_bytes(name)
                    items.append(item)
                return b"a:%d:{%b}" % (len(items), b"".join(items))

            return groups
    return lambda _: NULL


def _uid(client: SelectClient) -> bytes:
    return NULL if client.uid is None else php.dump_bytes(client.uid)

"""What a gateway answers when it is asked about its clients, against the model of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tests.fuzz.targets.php_values import read_tree
from tests.gateway.model import Model
from tests.gateway.reading import as_map, key, listed
from tidegate.wire import commands, php

__all__ = ["Ask", "compare_answers"]


class Ask(Protocol):
    def __call__(self, command: int, number: int = 0, ext: Any = b"") -> Any:
        """The answer to a query, decoded; what is not bytes is sent as JSON."""


def compare_answers(ask: Ask, model: Model, names: Sequence[bytes], spoken: Sequence[bytes]) -> None:
    """Ask all that can be asked.

    Args:
        names: every uid and group there may be.
        spoken: those of them that JSON has.
    """
    compare_names(ask, model, names, spoken)
    compare_rows(ask, model)
    compare_clients(ask, model)


def compare_names(ask: Ask, model: Model, names: Sequence[bytes], spoken: Sequence[bytes]) -> None:
    assert ask(commands.GET_CLIENT_COUNT_BY_GROUP) == len(model.here())
    assert ask(commands.GET_GROUP_ID_LIST) == [key(name) for name in model.groups]
    uids = {key(name): model.uids.get(name, []) for name in spoken}
    assert as_map(ask(commands.BATCH_GET_CLIENT_ID_BY_UID, ext=listed(spoken))) == uids
    counts = {key(name): len(model.groups.get(name, ())) for name in spoken}
    assert as_map(ask(commands.BATCH_GET_CLIENT_COUNT_BY_GROUP, ext=listed(spoken))) == counts
    for name in names:
        members = model.groups.get(name, [])
        assert ask(commands.GET_CLIENT_ID_BY_UID, ext=name) == model.uids.get(name, [])
        assert ask(commands.GET_CLIENT_COUNT_BY_GROUP, ext=name) == len(members)
        assert list(as_map(ask(commands.GET_CLIENT_SESSIONS_BY_GROUP, ext=name))) == members


def compare_rows(ask: Ask, model: Model) -> None:
    rows = as_map(ask(commands.SELECT, ext={"fields": ["uid", "groups"], "where": []}))
    assert list(rows) == [client.id for client in model.here()]
    for client in model.here():
        uid = None if client.uid is None else php.loads(php.dump_bytes(client.uid))
        assert rows[client.id]["uid"] == uid
        groups = rows[client.id]["groups"]
        assert (groups is None) == (client.groups is None)
        assert list(as_map(groups or {})) == [key(name) for name in client.groups or ()]


def compare_clients(ask: Ask, model: Model) -> None:
    sessions = as_map(ask(commands.GET_ALL_CLIENT_SESSIONS))
    assert list(sessions) == [client.id for client in model.here()]
    for number, client in model.everyone.items():
        assert ask(commands.IS_ONLINE, number) == client.is_here
        session = ask(commands.GET_SESSION_BY_CLIENT_ID, number)
        if not client.is_here:
            assert session is None
        else:
            assert read_tree(php.dumps(session)) == (client.session or {})
            stored = sessions[number]
            assert (read_tree(stored.encode()) if stored else {}) == (client.session or {})

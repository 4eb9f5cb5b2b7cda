"""What a gateway's tables are, in plain lists and dicts, for the real ones to be compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["BINARY", "CLOSE", "TEXT", "Frame", "Model", "ModelClient"]

TEXT, BINARY, CLOSE = 1, 2, 8
Frame: TypeAlias = tuple[int, bytes]
"""Opcode and payload."""


@dataclass
class ModelClient:
    """A client.

    Attributes:
        id: of its connection.
        groups: in the order of joining; None until it first joins one.
        session: decoded, all arrays in it as dicts; None where none is set.
        is_here: neither gone nor being closed.
        is_lossy: what was queued for it may have been dropped.
        sent: what it must receive.
    """

    id: int
    uid: bytes | None = None
    groups: list[bytes] | None = None
    session: dict[Any, Any] | None = None
    is_here: bool = True
    is_lossy: bool = False
    sent: list[Frame] = field(default_factory=list)


class Model:
    """All clients of a gateway.

    Attributes:
        everyone: that there ever was, by connection id.
        uids: connection ids by uid, in the order of binding.
        groups: connection ids by group, in the order of joining.
    """

    def __init__(self) -> None:
        self.everyone: dict[int, ModelClient] = {}
        self.uids: dict[bytes, list[int]] = {}
        self.groups: dict[bytes, list[int]] = {}

    def here(self) -> list[ModelClient]:
        return [client for client in self.everyone.values() if client.is_here]

    def find(self, number: int) -> ModelClient | None:
        client = self.everyone.get(number)
        return client if client is not None and client.is_here else None

    def leave(self, client: ModelClient) -> None:
        """It is gone, or being closed."""
        self.unbind(client)
        for group in tuple(client.groups or ()):
            self.leave_group(client, group)
        client.is_here = False

    # Uids and groups

    def bind(self, client: ModelClient, uid: bytes) -> None:
        if client.uid != uid:
            self.unbind(client)
            client.uid = uid
            self.uids.setdefault(uid, []).append(client.id)

    def unbind(self, client: ModelClient) -> None:
        if client.uid is not None:
            _take(self.uids, client.uid, client.id)
            client.uid = None

    def join_group(self, client: ModelClient, group: bytes) -> None:
        client.groups = client.groups or []
        if group not in client.groups:
            client.groups.append(group)
            self.groups.setdefault(group, []).append(client.id)

    def leave_group(self, client: ModelClient, group: bytes) -> None:
        if client.groups and group in client.groups:
            client.groups.remove(group)
            _take(self.groups, group, client.id)

    def ungroup(self, group: bytes) -> None:
        for number in tuple(self.groups.get(group, ())):
            self.leave_group(self.everyone[number], group)

    # Who is meant

    def of_uids(self, uids: Iterable[bytes]) -> list[ModelClient]:
        return self._of(self.uids, uids)

    def of_groups(self, groups: Iterable[bytes]) -> list[ModelClient]:
        return self._of(self.groups, groups)

    def _of(self, table: dict[bytes, list[int]], names: Iterable[bytes]) -> list[ModelClient]:
        numbers = dict.fromkeys(number for name in names for number in table.get(name, ()))
        return [self.everyone[number] for number in numbers]


def _take(table: dict[bytes, list[int]], name: bytes, number: int) -> None:
    table[name].remove(number)
    if not table[name]:
        del table[name]

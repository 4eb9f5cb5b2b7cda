"""Who is who: the clients of a gateway process by uid and by group.

Uids and groups are bytes, as they come in packets: any text is one, "0" too. What these tables must be good at is
reaching all clients of a name, and forgetting a client, at a cost of what it is in; an entry exists only while it has a
client. A client knows its own names, so that nothing is ever searched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast

if TYPE_CHECKING:
    from tidegate.net.audience import Audience

__all__ = ["GROUP", "UID", "Group", "Kind", "NameInterest", "TableClient", "Tables"]

Kind: TypeAlias = Literal["uid", "group"]
UID: Kind = "uid"
GROUP: Kind = "group"


class NameInterest(Protocol):
    """Who is told which names have clients here."""

    def came(self, kind: Kind, name: bytes) -> None:
        """The first client has this name now."""

    def went(self, kind: Kind, name: bytes) -> None:
        """The last one has it no more."""


class TableClient(Protocol):
    """What a client keeps for the tables.

    Attributes:
        id: of the connection.
        uid: None where none is bound.
        groups: by name in the order of joining; None until it first joins one.
    """

    @property
    def id(self) -> int: ...

    uid: bytes | None
    groups: dict[bytes, Group] | None


C = TypeVar("C", bound=TableClient)


class Group(dict[int, TableClient]):
    """Clients by connection id, in the order of joining.

    Attributes:
        name: the one object of it that all members share.
        audience: while messages to all of them are on their way.
    """

    __slots__ = ("audience", "name")

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name
        self.audience: Audience | None = None


class Tables(Generic[C]):
    """All of them.

    Args:
        clients: the connections by id.
        interest: is told when a name gets its first client and when it has lost its last, where anybody wants to know.

    Attributes:
        clients: all that are there, those among them that are being closed.
        uids: clients by uid and connection id.
        groups: by name.
    """

    def __init__(self, clients: Mapping[int, C], interest: NameInterest | None = None) -> None:
        self.clients = clients
        self._interest = interest
        self.uids: dict[bytes, dict[int, C]] = {}
        self.groups: dict[bytes, Group] = {}
        self._leaving: set[int] = set()

    # Who is there

    def __len__(self) -> int:
        """How many clients there are, without those that are being closed."""
        return len(self.clients) - len(self._leaving)

    def find(self, number: int) -> C | None:
        """The client of a connection id; one that is being closed is gone."""
        return self.clients.get(number) if number not in self._leaving else None

    def all(self) -> Collection[C]:
        """All clients but those that are being closed."""
        if not self._leaving:
            return self.clients.values()
        return [client for number, client in self.clients.items() if number not in self._leaving]

    def depart(self, client: C) -> None:
        """A client is being closed: for all who ask it is gone, also while it still takes its goodbye."""
        self._forget_names(client)
        self._leaving.add(client.id)

    def forget(self, client: C) -> None:
        """A client is gone."""
        self._forget_names(client)
        self._leaving.discard(client.id)

    def _forget_names(self, client: C) -> None:
        self.unbind(client)
        for name in tuple(client.groups or ()):
            self.leave(client, name)
        client.groups = None

    # Uids and groups

    def bind(self, client: C, uid: bytes) -> None:
        """Give a client a uid in place of the one that it has."""
        if client.uid == uid:
            return
        self.unbind(client)
        client.uid = uid
        members = self.uids.get(uid)
        if members is None:
            members = self.uids[uid] = {}
            if self._interest is not None:
                self._interest.came(UID, uid)
        members[client.id] = client

    def unbind(self, client: C) -> None:
        """Take its uid away."""
        uid = client.uid
        if uid is None:
            return
        client.uid = None
        members = self.uids[uid]
        del members[client.id]
        if not members:
            del self.uids[uid]
            if self._interest is not None:
                self._interest.went(UID, uid)

    def join(self, client: C, name: bytes) -> None:
        """Put a client into a group."""
        groups = client.groups
        if groups is None:
            groups = client.groups = {}
        elif name in groups:
            return
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name)
            if self._interest is not None:
                self._interest.came(GROUP, name)
        group[client.id] = client
        groups[group.name] = group
        if group.audience is not None:
            group.audience.add(cast("Any", client))

    def leave(self, client: C, name: bytes) -> None:
        """Take a client out of a group."""
        group = client.groups.pop(name, None) if client.groups else None
        if group is None:
            return
        del group[client.id]
        if group.audience is not None:
            group.audience.discard(cast("Any", client))
        if not group:
            del self.groups[name]
            if self._interest is not None:
                self._interest.went(GROUP, name)

    def ungroup(self, name: bytes) -> None:
        """End a group: all leave it."""
        group = self.groups.pop(name, None)
        if group is None:
            return
        if self._interest is not None:
            self._interest.went(GROUP, name)
        if group.audience is not None:
            group.audience.dissolve()
        for client in group.values():
            assert client.groups is not None
            del client.groups[name]

    def of_uids(self, uids: Iterable[bytes]) -> Iterator[C]:
        """The clients of several uids; a client has but one."""
        for uid in dict.fromkeys(uids):
            yield from self.uids.get(uid, {}).values()

    def of_groups(self, names: Iterable[bytes]) -> Mapping[int, TableClient]:
        """The clients that are in any of the groups, each once, by connection id; not to be changed."""
        groups = [group for name in names if (group := self.groups.get(name))]
        if len(groups) == 1:
            return groups[0]
        members: dict[int, TableClient] = {}
        for group in groups:
            members |= group
        return members

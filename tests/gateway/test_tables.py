"""Who is who: the tables give what a list of all that was done says, and keep nothing of those who are gone."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tidegate.gateway.tables import Group, Tables

NAMES = st.sampled_from([b"a", b"b", b"0", b"\xff"])


class Client:
    def __init__(self, number: int) -> None:
        self.id = number
        self.uid: bytes | None = None
        self.groups: dict[bytes, Group] | None = None


class Naive(RuleBasedStateMachine):
    """Clients come, go, and are named; a model keeps pairs."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[int, Client] = {}
        self.tables: Tables[Client] = Tables(self.open)
        self.uids: dict[int, bytes] = {}
        self.members: dict[bytes, list[int]] = {name: [] for name in (b"a", b"b", b"0", b"\xff")}
        self.leaving: set[int] = set()
        self.count = 0

    @rule(target=clients)
    def connect(self) -> Client:
        self.count += 1
        client = self.open[self.count] = Client(self.count)
        return client

    @rule(client=clients, uid=NAMES)
    def bind(self, client: Client, uid: bytes) -> None:
        if self.tables.find(client.id):
            self.tables.bind(client, uid)
            if self.uids.get(client.id) != uid:  # another one is the last of its clients
                self.uids.pop(client.id, None)
                self.uids[client.id] = uid

    @rule(client=clients)
    def unbind(self, client: Client) -> None:
        self.tables.unbind(client)
        self.uids.pop(client.id, None)

    @rule(client=clients, name=NAMES)
    def join(self, client: Client, name: bytes) -> None:
        if self.tables.find(client.id):
            self.tables.join(client, name)
            if client.id not in self.members[name]:
                self.members[name].append(client.id)

    @rule(client=clients, name=NAMES)
    def leave(self, client: Client, name: bytes) -> None:
        self.tables.leave(client, name)
        if client.id in self.members[name]:
            self.members[name].remove(client.id)

    @rule(name=NAMES)
    def ungroup(self, name: bytes) -> None:
        self.tables.ungroup(name)
        self.members[name] = []

    @rule(client=clients)
    def depart(self, client: Client) -> None:
        self.tables.depart(client)
        self._remove(client)
        self.leaving.add(client.id)

    @rule(target=clients, client=consumes(clients))
    def go(self, client: Client) -> object:
        self.tables.forget(client)
        self._remove(client)
        self.leaving.discard(client.id)
        del self.open[client.id]
        return multiple()

    def _remove(self, client: Client) -> None:
        self.uids.pop(client.id, None)
        for members in self.members.values():
            if client.id in members:
                members.remove(client.id)

    @invariant()
    def tables_are_as_the_model(self) -> None:
        tables = self.tables
        there = [number for number in self.open if number not in self.leaving]
        assert len(tables) == len(there)
        assert [client.id for client in tables.all()] == there
        assert [number for number in self.open if tables.find(number)] == there
        by_uid: dict[bytes, list[int]] = {}
        for number, uid in self.uids.items():
            by_uid.setdefault(uid, []).append(number)
        assert {uid: list(members) for uid, members in tables.uids.items()} == by_uid
        groups = {name: members for name, members in self.members.items() if members}
        assert {name: list(members) for name, members in tables.groups.items()} == groups
        for client in self.open.values():
            assert client.uid == self.uids.get(client.id)
            assert set(client.groups or ()) == {name for name, members in groups.items() if client.id in members}

    @invariant()
    def several_names_give_each_client_once(self) -> None:
        found = [client.id for client in self.tables.of_uids([b"a", b"0", b"a"])]
        assert sorted(found) == sorted(number for number, uid in self.uids.items() if uid in (b"a", b"0"))
        members = list(self.tables.of_groups([b"a", b"b", b"none"]))
        assert sorted(members) == sorted({*self.members[b"a"], *self.members[b"b"]})

    def teardown(self) -> None:
        for client in self.open.values():
            self.tables.forget(client)
        assert (self.tables.uids, self.tables.groups, self.tables._leaving) == ({}, {}, set())


Naive.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestTables = Naive.TestCase

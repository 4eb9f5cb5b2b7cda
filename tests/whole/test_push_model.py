"""Whatever is done by the push API with clients of two gateways: its results and what they receive are a model's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fuzz.targets.php_values import read_tree, replaced
from tests.gateway.model import BINARY, TEXT, Model, ModelClient
from tidegate import Gateway
from tidegate.net.loops import new_event_loop
from tidegate.testing import cluster
from tidegate.testing.client import ClientClosedError, WebSocketClient
from tidegate.wire import php

T = TypeVar("T")

NAMES = ["é", "7", "07"]
names = st.sampled_from(NAMES)
lists = st.lists(names, max_size=3)
messages = st.text(max_size=10) | st.binary(max_size=10)
sessions = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3) | st.just({"c": [1]}), max_size=2)


class Pushing(RuleBasedStateMachine):
    """Clients of two gateways, and a push client that may do anything with them."""

    @initialize(at=st.lists(st.integers(0, 1), min_size=2, max_size=4))
    def begin(self, at: list[int]) -> None:
        self.runner = asyncio.Runner(loop_factory=new_event_loop)
        self.gateways = [Gateway("websocket://127.0.0.1:0", name=name) for name in "ab"]
        self.running = cluster(*self.gateways)
        self.cluster = self.do(self.running.__aenter__())
        self.push = self.cluster.push
        self.model = Model()
        self.clients: dict[int, WebSocketClient] = {}
        self.marks = 0
        for gateway in at:
            self.connect(gateway)

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        try:
            self.compare_deliveries()
            self.compare_answers()
        finally:
            self.do(self.running.__aexit__(None, None, None))
            self.runner.close()

    def do(self, what: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(10):
                return await what

        return self.runner.run(bounded())

    def id_of(self, client: ModelClient) -> str:
        return self.clients[client.id].client_id

    def draw(self, data: st.DataObject) -> ModelClient:
        """One that there is or was."""
        return data.draw(st.sampled_from(list(self.model.everyone.values())))

    def draw_ids(self, data: st.DataObject) -> tuple[list[int], list[str]]:
        numbers = data.draw(st.lists(st.sampled_from(list(self.model.everyone)), max_size=2, unique=True))
        return numbers, [self.clients[number].client_id for number in numbers]

    # Clients

    @rule(at=st.integers(0, 1))
    def connect(self, at: int) -> None:
        self.do(self.push.flush())
        number = len(self.clients) + 1
        self.clients[number] = self.do(self.cluster.connect(gateway=self.gateways[at]))
        self.model.everyone[number] = ModelClient(number)

    @precondition(lambda self: self.model.here())
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.model.here()))
        self.compare_deliveries()
        self.do(self.clients[client.id].close())
        self.do(self.cluster.settle())
        self.model.leave(client)

    @rule(data=st.data(), last=st.none() | messages)
    def close(self, data: st.DataObject, last: str | bytes | None) -> None:
        client = self.draw(data)
        self.do(self.push.close_client(self.id_of(client), last))
        if client.is_here:
            self.deliver([] if last is None else [client], b"" if last is None else last)
            self.model.leave(client)

    # Uids, groups and sessions

    @rule(data=st.data(), uid=names, is_leaving=st.booleans())
    def bind(self, data: st.DataObject, uid: str, is_leaving: bool) -> None:
        client = self.draw(data)
        self.do((self.push.unbind_uid if is_leaving else self.push.bind_uid)(self.id_of(client), uid))
        if client.is_here and is_leaving:
            self.model.unbind(client)
        elif client.is_here:
            self.model.bind(client, uid.encode())

    @rule(data=st.data(), group=names, is_leaving=st.booleans())
    def join(self, data: st.DataObject, group: str, is_leaving: bool) -> None:
        client = self.draw(data)
        self.do((self.push.leave_group if is_leaving else self.push.join_group)(self.id_of(client), group))
        if client.is_here and is_leaving:
            self.model.leave_group(client, group.encode())
        elif client.is_here:
            self.model.join_group(client, group.encode())

    @rule(group=names)
    def ungroup(self, group: str) -> None:
        self.do(self.push.ungroup(group))
        self.model.ungroup(group.encode())

    @rule(data=st.data(), session=sessions, is_update=st.booleans())
    def store(self, data: st.DataObject, session: dict[str, Any], is_update: bool) -> None:
        client = self.draw(data)
        self.do((self.push.update_session if is_update else self.push.set_session)(self.id_of(client), session))
        if client.is_here:
            new = read_tree(php.dumps(session))
            has_one = is_update and client.session is not None
            client.session = read_tree(php.dumps(replaced(client.session or {}, new))) if has_one else new

    # Messages

    def deliver(self, clients: list[ModelClient], message: str | bytes) -> None:
        frame = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        for client in clients:
            client.sent.append(frame)

    @rule(data=st.data(), message=messages, is_listed=st.booleans())
    def send_to_all(self, data: st.DataObject, message: str | bytes, is_listed: bool) -> None:
        listed, listed_ids = self.draw_ids(data)
        excluded, excluded_ids = self.draw_ids(data)
        self.do(self.push.send_to_all(message, listed_ids if is_listed else None, excluded_ids))
        meant = [client for client in self.model.here() if client.id in listed or not is_listed]
        self.deliver([client for client in meant if client.id not in excluded], message)

    @rule(data=st.data(), message=messages)
    def send_to_client(self, data: st.DataObject, message: str | bytes) -> None:
        client = self.draw(data)
        self.do(self.push.send_to_client(self.id_of(client), message))
        self.deliver([client] if client.is_here else [], message)

    @rule(uids=lists, message=messages)
    def send_to_uids(self, uids: list[str], message: str | bytes) -> None:
        self.do(self.push.send_to_uid(uids, message))
        self.deliver(self.model.of_uids(map(str.encode, uids)), message)

    @rule(data=st.data(), groups=lists, message=messages)
    def send_to_groups(self, data: st.DataObject, groups: list[str], message: str | bytes) -> None:
        excluded, ids = self.draw_ids(data)
        self.do(self.push.send_to_group(groups, message, ids))
        meant = self.model.of_groups(map(str.encode, groups))
        self.deliver([client for client in meant if client.id not in excluded], message)

    # What must be so

    @rule()
    def compare_deliveries(self) -> None:
        self.marks += 1
        self.do(self.push.send_to_all(f"mark {self.marks}"))
        for number, client in self.model.everyone.items():
            if client.sent or client.is_here:
                assert self.do(self.received(self.clients[number], client.is_here)) == client.sent
                client.sent.clear()

    async def received(self, client: WebSocketClient, is_here: bool) -> list[tuple[int, bytes]]:
        """What a client got, up to the mark or its end."""
        found: list[tuple[int, bytes]] = []
        try:
            while (message := await client.receive()) != f"mark {self.marks}":
                found.append((TEXT, message.encode()) if isinstance(message, str) else (BINARY, message))
        except ClientClosedError:
            assert not is_here
        return found

    @rule()
    def compare_answers(self) -> None:
        self.do(self.push.flush())
        push, model, here = self.push, self.model, self.model.here()
        ids = {client.id: self.id_of(client) for client in model.everyone.values()}
        assert self.do(push.get_all_client_count()) == len(here)
        assert sorted(self.do(push.get_all_client_id_list())) == sorted(map(self.id_of, here))
        assert sorted(self.do(push.get_all_uid_list())) == sorted(uid.decode() for uid in model.uids)
        assert sorted(self.do(push.get_all_group_id_list())) == sorted(group.decode() for group in model.groups)
        by_uid = {name: sorted(ids[number] for number in model.uids.get(name.encode(), [])) for name in NAMES}
        found = self.do(push.batch_get_client_id_by_uid(NAMES))
        assert {uid: sorted(clients) for uid, clients in found.items()} == by_uid
        assert self.do(push.is_uids_online(NAMES)) == {name: bool(clients) for name, clients in by_uid.items()}
        counts = {name: len(model.groups.get(name.encode(), [])) for name in NAMES}
        assert self.do(push.batch_get_client_id_count_by_group(NAMES)) == counts
        groups = {name.decode(): sorted(ids[number] for number in members) for name, members in model.groups.items()}
        found = self.do(push.get_all_group_client_id_list())
        assert {group: sorted(clients) for group, clients in found.items()} == groups
        for client in model.everyone.values():
            self.compare_client(client)

    def compare_client(self, client: ModelClient) -> None:
        client_id, uid = self.id_of(client), client.uid
        assert self.do(self.push.is_online(client_id)) == client.is_here
        assert self.do(self.push.get_uid_by_client_id(client_id)) == (None if uid is None else uid.decode())
        session = self.do(self.push.get_session(client_id))
        if client.is_here:
            assert read_tree(php.dumps(session)) == (client.session or {})
        else:
            assert session is None


Pushing.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
TestPushing = pytest.mark.timeout(300)(Pushing.TestCase)

"""Whatever workers and push clients do with a gateway's clients: answers and deliveries are those of plain dicts.

Commands come as bytes on links, many in a read, and clients read slowly or not, leave or are closed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fuzz.targets.php_values import read_tree, replaced
from tests.gateway.answers import compare_answers
from tests.gateway.model import BINARY, CLOSE, TEXT, Frame, Model, ModelClient
from tests.gateway.played import PlayedClient, PlayedGateway
from tests.gateway.reading import as_map, listed, read_frames
from tidegate.net import audience
from tidegate.protocols.frames import make_frame
from tidegate.wire import commands, php
from tidegate.wire.commands import SCALAR
from tidegate.wire.packet import PacketReader, pack
from tidegate.wire.session import pack_patch

MAX_PACKET, MAX_GROUPS = 4096, 3
NAMES = ["é".encode(), b"7", b"07", b"\xff"]
SPOKEN = NAMES[:-1]
"""Those that JSON has."""
NONSENSE = [
    (commands.SEND_TO_ALL, b'{"exclude":7}'),
    (commands.SEND_TO_UID, b'{"a":null}'),
    (commands.SEND_TO_GROUP, b"[1]"),
    (commands.UPDATE_SESSION, b"a:1:{"),
    (commands.PATCH_SESSION, b"i:1;"),
    (commands.SET_SESSION, b"x" * (MAX_PACKET // 2 + 1)),
    (99, b""),
]
names = st.sampled_from(NAMES)
spoken = st.lists(st.sampled_from(SPOKEN), max_size=3)
bodies = st.one_of(
    st.text(max_size=10).map(lambda text: (TEXT, text.encode(errors="replace"), SCALAR)),
    st.just((TEXT, b"squeezed " * 20, SCALAR)),
    st.just((BINARY, b"\xff\xfe", SCALAR)),
    st.just((BINARY, b"marked", SCALAR | commands.BINARY)),
)
values = st.recursive(
    st.integers(-3, 3) | st.sampled_from(["", "x", None, True, 0.1]),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "7"]), inner, max_size=2) | st.lists(inner, max_size=2),
    max_leaves=4,
)
sessions = st.dictionaries(st.sampled_from(["a", "b", "c", "7"]), values, max_size=3)


class Commands(RuleBasedStateMachine):
    """A gateway with clients, a push client and a worker."""

    @initialize(squeezed=st.lists(st.booleans(), min_size=3, max_size=6))
    def begin(self, squeezed: list[bool]) -> None:
        self.crowd = patch.object(audience, "CROWD", 2)
        self.crowd.start()
        self.gateway = PlayedGateway(max_packet_size=MAX_PACKET, max_groups=MAX_GROUPS)
        self.model = Model()
        self.played: dict[int, PlayedClient] = {}
        self.push, self.worker = self.gateway.link(), self.gateway.link()
        greeting = {"worker_key": "w:0", "secret_key": "", "tidegate": 1, "events": []}
        self.gateway.play(self.worker.feed, pack(commands.WORKER_CONNECT, body=json.dumps(greeting).encode()), turns=2)
        self.worker.take()
        self.links = [self.push, self.worker]
        self.pending = b""
        self.bad = 0
        for is_compressed in squeezed:
            self.connect(is_compressed)

    def teardown(self) -> None:
        if not hasattr(self, "gateway"):
            return
        try:
            self.compare_deliveries()
            self.compare_all()
        finally:
            self.gateway.end()
            self.crowd.stop()

    # Links

    def tell(self, command: int, number: int = 0, ext: bytes = b"", body: bytes = b"", flags: int = SCALAR) -> None:
        """Send a command: to be read with all others until something else happens."""
        self.pending += pack(command, number, ext, body, flags)

    def release(self) -> None:
        """Have read what was sent, by one link or the other."""
        if self.pending:
            pending, self.pending = self.pending, b""
            self.links.reverse()
            self.gateway.play(self.links[0].feed, pending)

    def ask(self, command: int, number: int = 0, ext: Any = b"", is_worker: bool = False) -> Any:
        self.release()
        query = pack(command, number, ext if isinstance(ext, bytes) else json.dumps(ext).encode())
        if not is_worker:
            self.gateway.play(self.push.feed, query, turns=2)
            (answer,) = self.push.take_answers()
            return php.loads(answer)
        self.gateway.play(self.worker.feed, pack(commands.QUERY, 5, body=query), turns=2)
        packets = [packet for packet in PacketReader().feed(self.worker.take()) if packet[0] == commands.QUERY]
        return php.loads(b"".join(packet[4] for packet in packets))

    # Clients

    @rule(is_compressed=st.booleans())
    def connect(self, is_compressed: bool) -> None:
        self.release()
        client = self.gateway.connect(is_compressed)
        self.played[client.id] = client
        self.model.everyone[client.id] = ModelClient(client.id)

    def any_id(self, data: st.DataObject) -> int:
        """Of a client that is there most often, or was, or never."""
        here = [client.id for client in self.model.here()]
        there = data.draw(st.integers(0, 9)) and here
        return data.draw(st.sampled_from(there or [*self.model.everyone, 12345]))

    @precondition(lambda self: self.model.here())
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        self.release()
        client = data.draw(st.sampled_from(self.model.here()))
        self.gateway.play(self.played[client.id].leave, turns=2)
        client.is_lossy = True
        self.model.leave(client)

    @precondition(lambda self: self.model.everyone)
    @rule(data=st.data(), room=st.integers(0, 30))
    def read_slowly(self, data: st.DataObject, room: int) -> None:
        self.release()
        self.played[data.draw(st.sampled_from(list(self.played)))].system.room = room

    @rule()
    def let_turns_pass(self) -> None:
        self.release()
        self.gateway.settle(4)

    # Closing

    @precondition(lambda self: self.model.everyone)
    @rule(data=st.data(), last=st.none() | bodies)
    def kick(self, data: st.DataObject, last: tuple[int, bytes, int] | None) -> None:
        number = self.any_id(data)
        if last is None:
            self.tell(commands.KICK, number, body=b"N;", flags=0)
        else:
            self.tell(commands.KICK, number, body=last[1], flags=last[2])
        client = self.model.find(number)
        if client is not None:
            if last is not None:
                client.sent.append(last[:2])
            client.sent.append((CLOSE, b"\x03\xe8"))
            self.model.leave(client)

    @precondition(lambda self: self.model.everyone)
    @rule(data=st.data())
    def destroy(self, data: st.DataObject) -> None:
        number = self.any_id(data)
        self.tell(commands.DESTROY, number)
        client = self.model.find(number)
        if client is not None:
            client.is_lossy = True
            self.model.leave(client)

    # Uids and groups

    @rule(data=st.data(), uid=names, is_leaving=st.booleans())
    def bind(self, data: st.DataObject, uid: bytes, is_leaving: bool) -> None:
        number = self.any_id(data)
        self.tell(commands.UNBIND_UID if is_leaving else commands.BIND_UID, number, uid)
        client = self.model.find(number)
        if client is not None and is_leaving:
            self.model.unbind(client)
        elif client is not None:
            self.model.bind(client, uid)

    @rule(data=st.data(), group=names)
    def join(self, data: st.DataObject, group: bytes) -> None:
        self.let_join(self.any_id(data), group)

    def let_join(self, number: int, group: bytes) -> None:
        self.tell(commands.JOIN_GROUP, number, group)
        client = self.model.find(number)
        if client is None:
            return
        if group in (groups := client.groups or ()) or len(groups) < MAX_GROUPS:
            self.model.join_group(client, group)
        else:
            self.bad += 1

    @rule(group=names, uid=names)
    def all_join(self, group: bytes, uid: bytes) -> None:
        for client in self.model.here():
            self.let_join(client.id, group)
            if client.uid is None:
                self.tell(commands.BIND_UID, client.id, uid)
                self.model.bind(client, uid)

    @rule(
        data=st.data(), group=names, steps=st.lists(st.sampled_from(["join", "leave", "send"]), min_size=3, max_size=9)
    )
    def meet(self, data: st.DataObject, group: bytes, steps: list[str]) -> None:
        """A room in which a lot happens at once."""
        self.all_join(group, group)
        for number, step in enumerate(steps):
            if step == "join":
                self.join(data, group)
            elif step == "leave":
                self.leave_group(data, group)
            elif group in SPOKEN:
                self.send_to_groups(data, (TEXT, b"%d" % number, SCALAR), [group])

    @rule(data=st.data(), group=names)
    def leave_group(self, data: st.DataObject, group: bytes) -> None:
        number = self.any_id(data)
        self.tell(commands.LEAVE_GROUP, number, group)
        client = self.model.find(number)
        if client is not None:
            self.model.leave_group(client, group)

    @rule(group=names)
    def ungroup(self, group: bytes) -> None:
        self.tell(commands.UNGROUP, ext=group)
        self.model.ungroup(group)

    @rule(data=st.data(), what=st.sampled_from(NONSENSE))
    def say_nonsense(self, data: st.DataObject, what: tuple[int, bytes]) -> None:
        clients = self.model.here()
        if clients:
            self.tell(what[0], data.draw(st.sampled_from(clients)).id, what[1])
            self.bad += 1

    # Sessions

    @rule(data=st.data(), session=sessions)
    def set_session(self, data: st.DataObject, session: dict[str, Any]) -> None:
        number = self.any_id(data)
        self.tell(commands.SET_SESSION, number, php.dumps(session) if session else b"")
        client = self.model.find(number)
        if client is not None:
            client.session = read_tree(php.dumps(session)) if session else None

    @rule(data=st.data(), update=sessions)
    def update_session(self, data: st.DataObject, update: dict[str, Any]) -> None:
        number = self.any_id(data)
        self.tell(commands.UPDATE_SESSION, number, php.dumps(update))
        client = self.model.find(number)
        if client is not None:
            changes = read_tree(php.dumps(update))
            merged = changes if client.session is None else replaced(client.session, changes)
            client.session = read_tree(php.dumps(merged))

    @rule(data=st.data(), changed=sessions, gone=st.lists(st.sampled_from(["a", "b", "7"]), max_size=2))
    def patch_session(self, data: st.DataObject, changed: dict[str, Any], gone: list[str]) -> None:
        number = self.any_id(data)
        self.tell(commands.PATCH_SESSION, number, *pack_patch(php.dumps_items(changed), list(map(php.dumps_key, gone))))
        client = self.model.find(number)
        if client is not None:
            session = {name: value for name, value in (client.session or {}).items() if str(name) not in gone}
            client.session = {**session, **read_tree(php.dumps(changed))} or None

    # Messages

    def deliver(self, clients: Iterable[ModelClient], frame: Frame) -> None:
        for client in clients:
            client.sent.append(frame)

    @rule(data=st.data(), message=bodies, count=st.integers(1, 4))
    def send_to_client(self, data: st.DataObject, message: tuple[int, bytes, int], count: int) -> None:
        number, (opcode, body, flags) = self.any_id(data), message
        client = self.model.find(number)
        for _ in range(count):
            self.tell(commands.SEND_TO_ONE, number, body=body, flags=flags)
            self.deliver([client] if client else [], (opcode, body))

    def draw_ids(self, data: st.DataObject) -> list[int]:
        return data.draw(st.lists(st.sampled_from([*self.model.everyone, 12345]), max_size=3, unique=True))

    @rule(data=st.data(), message=bodies)
    def send_to_all_but(self, data: st.DataObject, message: tuple[int, bytes, int]) -> None:
        excluded, (opcode, body, flags) = self.draw_ids(data), message
        ext = {"exclude": {str(number): number for number in excluded}}
        self.tell(commands.SEND_TO_ALL, ext=json.dumps(ext).encode() if excluded else b"", body=body, flags=flags)
        self.deliver([client for client in self.model.here() if client.id not in excluded], (opcode, body))

    @rule(data=st.data(), message=bodies)
    def send_to_some(self, data: st.DataObject, message: tuple[int, bytes, int]) -> None:
        listed, excluded, (opcode, body, flags) = self.draw_ids(data), self.draw_ids(data), message
        what = {"connections": {str(number): number for number in listed}, "exclude": dict.fromkeys(excluded, 1)}
        self.tell(commands.SEND_TO_ALL, ext=json.dumps(what).encode(), body=body, flags=flags)
        meant = set(listed).difference(excluded)
        self.deliver([client for client in self.model.here() if client.id in meant], (opcode, body))

    @rule(message=bodies, uids=spoken)
    def send_to_uids(self, message: tuple[int, bytes, int], uids: list[bytes]) -> None:
        opcode, body, flags = message
        self.tell(commands.SEND_TO_UID, ext=json.dumps(listed(uids)).encode(), body=body, flags=flags)
        self.deliver(self.model.of_uids(uids), (opcode, body))

    @rule(data=st.data(), message=bodies, groups=spoken)
    def send_to_groups(self, data: st.DataObject, message: tuple[int, bytes, int], groups: list[bytes]) -> None:
        excluded, (opcode, body, flags) = self.draw_ids(data), message
        ext = {"group": listed(groups), "exclude": {str(number): 1 for number in excluded} or None}
        self.tell(commands.SEND_TO_GROUP, ext=json.dumps(ext).encode(), body=body, flags=flags)
        self.deliver([client for client in self.model.of_groups(groups) if client.id not in excluded], (opcode, body))

    @rule(group=st.sampled_from(SPOKEN), is_array=st.booleans())
    def send_what_is_no_plain_message(self, group: bytes, is_array: bool) -> None:
        ext = json.dumps({"group": listed([group]), "exclude": None}).encode()
        if is_array:
            self.tell(commands.SEND_TO_GROUP, ext=ext, body=php.dumps({"a": [1, "é/"]}), flags=0)
            self.deliver(self.model.of_groups([group]), (TEXT, '{"a":[1,"é\\/"]}'.encode()))
        else:
            flags = SCALAR | commands.RAW
            self.tell(commands.SEND_TO_GROUP, ext=ext, body=make_frame(0x82, b"raw"), flags=flags)
            self.deliver(self.model.of_groups([group]), (BINARY, b"raw"))

    # What must be so

    @rule()
    def compare_deliveries(self) -> None:
        """All who read on have got what they were sent, in order."""
        self.release()
        for played in self.played.values():
            self.gateway.play(played.system.drain)
        self.gateway.settle()
        for number, client in self.model.everyone.items():
            data = self.played[number].received
            if client.is_lossy:
                whole = b"".join(make_frame(0x80 | opcode, payload) for opcode, payload in client.sent)
                assert self.gateway.endpoint.connections.get(number) is None
                if not self.played[number].is_compressed:
                    assert whole.startswith(data)
            else:
                assert read_frames(data) == client.sent

    @rule(is_worker=st.booleans())
    def compare_all(self, is_worker: bool = False) -> None:
        """All that can be asked is answered as the model has it."""

        def ask(command: int, number: int = 0, ext: Any = b"") -> Any:
            return self.ask(command, number, ext, is_worker)

        compare_answers(ask, self.model, NAMES, SPOKEN)

    @rule(data=st.data(), uids=spoken, groups=spoken)
    def select(self, data: st.DataObject, uids: list[bytes], groups: list[bytes]) -> None:
        ids = self.draw_ids(data)
        where = {
            "uid": listed(uids),
            "groups": listed(groups),
            "connection_id": {str(number): number for number in ids},
        }
        meant = [*self.model.of_uids(uids), *self.model.of_groups(groups), *filter(None, map(self.model.find, ids))]
        rows = as_map(self.ask(commands.SELECT, ext={"fields": ["uid"], "where": where}))
        assert rows.keys() == {client.id for client in meant}

    @rule(message=bodies, uids=spoken)
    def send_to_uids_and_count(self, message: tuple[int, bytes, int], uids: list[bytes]) -> None:
        self.release()
        clients = self.model.of_uids(uids)
        packet = pack(commands.SEND_TO_UID_COUNTED, 0, json.dumps(listed(uids)).encode(), message[1], message[2])
        self.gateway.play(self.push.feed, packet, turns=2)
        (answer,) = self.push.take_answers()
        assert php.loads(answer) == len(clients)
        self.deliver(clients, message[:2])

    @invariant()
    def what_is_counted_is_so(self) -> None:
        if self.pending:
            return
        tables = self.gateway.tables
        assert len(tables) == len(self.model.here())
        assert {uid: list(clients) for uid, clients in tables.uids.items()} == self.model.uids
        assert {name: list(clients) for name, clients in tables.groups.items()} == self.model.groups
        assert self.gateway.inner.bad_commands == self.bad


Commands.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=50,
    # What is found is shown as it was found: with Phase.shrink a short way there is looked for, for minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestCommands = Commands.TestCase

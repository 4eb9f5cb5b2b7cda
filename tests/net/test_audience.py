"""The same to many connections, message after message: each gets all of it in order, whatever else it is sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.net.stubs import CountingCodec, Stage, System
from tests.net.support import Runner, turns
from tidegate import Connection
from tidegate.net import audience, reactor
from tidegate.net.audience import Audience, publish
from tidegate.net.batch import Batch


class Group(dict[int, Connection]):
    audience: Audience | None = None


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are a crowd, of which two are written to in a turn."""
    monkeypatch.setattr(audience, "CROWD", 3)
    monkeypatch.setattr(reactor, "SLICE", 2)


def everybody(stage: Stage, message: str, *exclude: int) -> int:
    return publish(stage.endpoint, stage.endpoint.connections, message, exclude)


def test_a_crowd_shares_one_outbox_until_it_is_written(run: Runner, small: None) -> None:
    class Codec(CountingCodec):
        __slots__ = ()

    async def main() -> None:
        async with Stage(Codec) as stage:
            crowd = [stage.connect() for _ in range(5)]
            assert [everybody(stage, f"{number};") for number in range(10)] == [5] * 10
            assert len({id(connection._queue) for connection, _ in crowd}) == 1
            assert crowd[0][0].queued_bytes == 20
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sum(bool(system.writes) for _, system in crowd) in (2, 4)  # some in each turn
            assert everybody(stage, "more;") == 5
            await turns(10)
            text = "".join(f"{number};" for number in range(10)) + "more;"
            assert all(b"".join(system.writes) == text.encode() for _, system in crowd)
            assert Codec.encoded == 11
            assert stage.endpoint.audience is None
            assert stage.endpoint.stats.frames_out == 55

    run(main())


def test_who_is_sent_something_alone_does_not_wait_for_the_crowd(run: Runner, small: None) -> None:
    async def main() -> None:
        async with Stage() as stage:
            crowd = [stage.connect() for _ in range(20)]
            everybody(stage, "all;")
            crowd[-1][0].send("alone;")
            everybody(stage, "again;")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert crowd[-1][1].writes == [b"all;alone;again;"]
            assert not crowd[-2][1].writes

    run(main())


def test_who_was_written_to_before_its_turn_gets_the_next_message_once(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "CROWD", 3)
    monkeypatch.setattr(reactor, "SLICE", 8)

    async def main() -> None:
        async with Stage() as stage:
            crowd = [stage.connect() for _ in range(10)]
            everybody(stage, "1;")
            crowd[-1][0].send("alone;")  # leaves at once, and its place in the line of the others stays
            await asyncio.sleep(0)
            assert crowd[-1][1].writes == [b"1;alone;"]
            assert not crowd[-2][1].writes
            everybody(stage, "2;")
            await turns(10)
            assert [b"".join(system.writes) for _, system in crowd] == [b"1;2;"] * 9 + [b"1;alone;2;"]
            assert stage.endpoint.audience is None

    run(main())


def test_those_who_come_and_go_get_what_was_sent_while_they_were_there(run: Runner, small: None) -> None:
    async def main() -> None:
        async with Stage() as stage:
            crowd = [stage.connect() for _ in range(5)]
            everybody(stage, "1;")
            crowd[0][0].close()
            late = stage.connect()
            assert everybody(stage, "2;", crowd[1][0].id) == 4
            crowd[2][0].destroy()
            assert everybody(stage, "3;") == 4
            await turns(12)
            got = [b"".join(system.writes).decode() for _, system in [*crowd, late]]
            assert got == ["1;", "1;3;", "", "1;2;3;", "1;2;3;", "2;3;"]
            assert (
                stage.endpoint.stats.send_failures == 5
            )  # two to the closing one; two queued for the destroyed one, and a third
            assert stage.endpoint.audience is None

    run(main())


def test_over_the_limit_those_who_can_be_written_to_are_and_the_slow_one_is_closed(run: Runner, small: None) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=100) as stage:
            crowd = [stage.connect() for _ in range(4)]
            crowd[0][1].room = 0
            await turns()
            for number in range(30):
                everybody(stage, f"{number:09};")
            await turns(20)
            text = "".join(f"{number:09};" for number in range(30)).encode()
            assert [b"".join(system.writes) == text for _, system in crowd] == [False, True, True, True]
            assert stage.endpoint.stats.slow_consumers == 1
            assert not crowd[0][0].is_open

    run(main())


def test_what_is_sent_from_a_callback_comes_after_what_caused_it(run: Runner, small: None) -> None:
    async def main() -> None:
        async with Stage(send_buffer_limit=10, slow_consumer="drop") as stage:
            crowd = [stage.connect() for _ in range(4)]
            slow, system = crowd[0]
            system.room = 0
            slow.send("x" * 20)
            await turns()
            stage.callbacks.on_buffer_full = lambda _: everybody(stage, "full;") and None
            everybody(stage, "all;")
            await turns(10)
            assert [b"".join(system.writes) for _, system in crowd[1:]] == [b"all;full;"] * 3

    run(main())


def test_a_group_that_ends_leaves_its_members_what_they_were_sent(run: Runner, small: None) -> None:
    async def main() -> None:
        async with Stage() as stage:
            crowd = [stage.connect() for _ in range(4)]
            group = Group({connection.id: connection for connection, _ in crowd})
            publish(group, group, b"last;", raw=True)
            assert group.audience is not None
            group.audience.dissolve()
            assert group.audience is None
            assert not any(type(connection._queue) is Batch for connection, _ in crowd)
            await turns(10)
            assert all(system.writes == [b"last;"] for _, system in crowd)

    run(main())


MEMBERS = st.integers(0, 7)
STEPS = st.one_of(
    st.tuples(st.just("everybody"), st.sets(MEMBERS, max_size=2)),
    st.tuples(st.just("group"), st.sets(MEMBERS, max_size=2)),
    st.tuples(st.sampled_from(["alone", "join", "leave", "close", "destroy", "stuck", "drain"]), MEMBERS),
    st.tuples(st.just("connect"), st.just(0)),
    st.tuples(st.just("turns"), st.integers(1, 4)),
)


class Model:
    """Connections, and what each must have been sent."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.all: list[tuple[Connection, System]] = []
        self.sent: dict[Connection, list[str]] = {}
        self.group = Group()
        self.number = 0

    def connect(self, _: object) -> None:
        connection, system = self.stage.connect()
        self.all.append((connection, system))
        self.sent[connection] = []

    def message(self, to: list[Connection]) -> str:
        self.number += 1
        for connection in to:
            if connection.is_open:
                self.sent[connection].append(f"{self.number};")
        return f"{self.number};"

    def ids(self, members: set[int]) -> set[int]:
        return {self.all[member % len(self.all)][0].id for member in members}

    def publish(self, holder: Any, members: Any, exclude: set[int]) -> None:
        meant = [connection for number, connection in members.items() if number not in exclude]
        message = self.message(meant)
        assert publish(holder, members, message, exclude) == sum(connection.is_open for connection in meant)

    def everybody(self, exclude: set[int]) -> None:
        self.publish(self.stage.endpoint, self.stage.endpoint.connections, self.ids(exclude))

    def to_group(self, exclude: set[int]) -> None:
        self.publish(self.group, self.group, self.ids(exclude))

    async def take(self, step: str, what: Any) -> None:
        if step == "connect":
            self.connect(what)
        elif step == "turns":
            await turns(what)
        elif step == "everybody":
            self.everybody(what)
        elif step == "group":
            self.to_group(what)
        else:
            self.one(step, *self.all[what % len(self.all)])

    def one(self, step: str, connection: Connection, system: System) -> None:
        match step:
            case "alone":
                connection.send(self.message([connection]))
            case "join" if connection.is_open and connection.id not in self.group:
                self.group[connection.id] = connection
                if self.group.audience is not None:
                    self.group.audience.add(connection)
            case "leave" | "close" | "destroy":
                if self.group.pop(connection.id, None) and self.group.audience is not None:
                    self.group.audience.discard(connection)
                if step == "close":
                    connection.close()
                elif step == "destroy":
                    connection.destroy()
            case "stuck":
                system.room = 3
            case "drain":
                system.drain()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.sampled_from([2, 6]), st.lists(STEPS, max_size=40))
def test_each_gets_what_it_was_sent_in_order_whatever_happens(
    run: Runner, small: None, slice: int, steps: list[tuple[str, Any]]
) -> None:
    reactor.SLICE = slice

    async def main() -> None:
        async with Stage() as stage:
            model = Model(stage)
            for _ in range(5):
                model.connect(0)
            for step, what in steps:
                await model.take(step, what)
            for _, system in model.all:
                system.drain()
            await turns(30)
            for connection, system in model.all:
                text, sent = b"".join(system.writes), "".join(model.sent[connection]).encode()
                assert text == sent if connection.is_open else sent.startswith(text)
            assert stage.endpoint.audience is None
            assert model.group.audience is None

    run(main())

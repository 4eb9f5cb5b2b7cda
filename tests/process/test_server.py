"""What is made of a server by its children, and when each part of them runs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from tests.net.support import LOOPS, Client, Runner, until
from tidegate import Connection
from tidegate.net.address import parse_address
from tidegate.net.endpoint import Limits
from tidegate.process.member import Member, Stop
from tidegate.process.plan import Plan
from tidegate.process.server import Server
from tidegate.process.settings import GatewaySettings, RegisterSettings, resolve
from tidegate.protocols import Text


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


class Guest(Connection):
    __slots__ = ()


class Hotel(Server[RegisterSettings]):
    """Notes what happens to it."""

    def __init__(self, fails_in: str = "") -> None:
        super().__init__(parse_address("text://127.0.0.1:0"), "hotel")
        self.events: list[str] = []
        self.stops: list[Stop] = []
        self.fails_in = fails_in
        self._callbacks.on_connect = lambda guest: self.events.append(f"guest {guest.id}")
        self._callbacks.on_message = lambda guest, line: guest.send(line)
        self._callbacks.on_close = lambda guest: self.events.append("guest left")

    def settings(self, config: Mapping[str, Any]) -> RegisterSettings:
        return resolve(RegisterSettings, self.name, {}, config, {})

    def _plan(self, settings: RegisterSettings) -> Plan:
        return Plan(Text, Limits(), connection_class=Guest, ids=itertools.count(500))

    def _note(self, what: str) -> None:
        self.events.append(what)
        if what == self.fails_in:
            raise RuntimeError(f"{what} failed")

    async def _opening(self, settings: RegisterSettings) -> None:
        assert self.address is not None
        assert self.address.port
        self._note("opening")

    async def _stopping(self, stop: Stop) -> None:
        self.stops.append(stop)
        self._note("stopping")

    async def _leaving(self, stop: Stop) -> None:
        for guest in self.connections.values():
            guest.send("goodbye")
        self._note("leaving")

    async def _closed(self, stop: Stop) -> None:
        self._note("closed")


@pytest.mark.parametrize("fails_in", ["", "stopping", "leaving", "closed"])
def test_a_childs_steps_come_in_order_and_each_though_another_fails(
    run: Runner, fails_in: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        hotel = Hotel(fails_in)
        await hotel.listen()
        assert hotel.address is not None
        with await Client.connect(hotel.address.port) as client:
            await until(lambda: hotel.connections)
            assert {type(guest) for guest in hotel.connections.values()} == {Guest}
            assert hotel.connection_rows(0) == []
            assert [row["id"] for row in hotel.connection_rows(9)] == [500]
            stopping = asyncio.create_task(hotel.stop(seconds=3, reload=True))
            assert await client.read_to_end() == b"goodbye\n"
        await stopping
        assert hotel.events == ["opening", "guest 500", "stopping", "leaving", "guest left", "closed"]
        (stop,) = hotel.stops
        assert (stop.reload, stop.whole, stop.seconds, stop.graceful) == (True, False, 3, False)
        assert 0 < stop.seconds_left <= 3
        await hotel.listen()  # it can again
        await hotel.stop()

    run(main())
    assert (f"{fails_in} failed" in caplog.text) == bool(fails_in)


def test_what_was_made_ready_is_let_go_where_the_start_fails(run: Runner) -> None:
    async def main() -> None:
        hotel = Hotel("opening")
        with pytest.raises(RuntimeError, match="opening failed"):
            await hotel.listen()
        assert hotel.events == ["opening", "closed"]
        assert hotel.address is not None
        assert hotel.address.port == 0
        hotel.fails_in = ""
        await hotel.listen()
        await hotel.stop()

    run(main())


def test_a_server_is_a_member_and_says_what_the_supervisor_needs() -> None:
    hotel = Hotel()
    assert isinstance(hotel, Member)
    assert hotel.describe({"reloadable": True}) == {
        "name": "hotel",
        "kind": "Hotel",
        "listen": "text://127.0.0.1:0",
        "count": 1,
        "reuse_port": False,
        "reloadable": True,
    }


def test_a_plan_follows_the_address_and_the_settings() -> None:
    settings = GatewaySettings(max_message_size=7, send_buffer_limit=8, slow_consumer="drop", handshake_timeout=9)
    plan = Plan.of(parse_address("frame://127.0.0.1:1"), settings, ids=itertools.count(3))
    assert plan.limits == Limits(8, "drop", 9, close_seconds=5)
    assert type(plan.make_codec()).__name__ == "Frame"
    assert plan.ids is not None
    assert next(plan.ids) == 3
    assert plan.tls is None

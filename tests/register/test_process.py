"""Register as a process of its own, that dies and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from tests.net.support import LOOPS, Runner, until
from tests.ports import free_port
from tests.process.support import Lines, Place, is_alive
from tests.process.support import until as wait_until
from tidegate.cluster.announcement import Announcement
from tidegate.cluster.directory import Directory
from tidegate.cluster.lookup import look_up, look_up_async
from tidegate.wire.register_line import Addresses

ONE, TWO = "127.0.0.1:2900", "127.0.0.1:2901"

APP = """
from tidegate.app import App
from tidegate.register.register import Register

app = App(Register("127.0.0.1:PORT", secret_key="sec", settle_seconds=SETTLE))
"""


@pytest.fixture
def run() -> Runner:
    """Only in one kind of loop: the processes are the same for either."""
    return Runner(LOOPS["uvloop"])


def start(place: Place, settle_seconds: float) -> int:
    """Start an app that is a Register; gives its port."""
    port = free_port()
    place.write(APP.replace("PORT", str(port)).replace("SETTLE", str(settle_seconds)))
    place.start().ready()
    return port


def test_one_that_is_killed_and_comes_back_is_not_noticed(place: Place, run: Runner, hurry: None) -> None:
    port = start(place, 0.5)
    register = [f"127.0.0.1:{port}"]

    async def main() -> None:
        said: list[Addresses] = []
        directory = Directory(register, "sec", said.append)
        directory.start()
        gateways = [Announcement(register, address, "sec") for address in (ONE, TWO)]
        for gateway in gateways:
            gateway.start()
        await until(lambda: set(directory.addresses.all) == {ONE, TWO})
        count = len(said)
        for _ in range(2):
            (pid,) = place.pids()
            os.kill(pid, signal.SIGKILL)
            await until(lambda: all(gateway.connected == 0 for gateway in gateways))
            # The port is open all the while; who asks is answered when the new one has settled, and with all of it.
            assert set((await look_up_async(register, "sec", 5, 10)).all) == {ONE, TWO}
            await until(lambda: all(gateway.connected == 1 for gateway in gateways))
            await until(lambda pid=pid: place.pids() not in ([], [pid]))  # type: ignore[misc]
        # What may change is the order in which they came.
        assert {frozenset(addresses.all) for addresses in said[count:]} <= {frozenset((ONE, TWO))}
        await gateways[0].stop()
        await until(lambda: directory.addresses == Addresses((TWO,), frozenset({TWO})))
        await gateways[1].stop()
        await until(lambda: not directory.addresses.all)
        await directory.stop()

    run(main())


def test_its_process_is_shown_and_stops_at_once(place: Place) -> None:
    port = start(place, 0)
    with Lines(port) as gateway, Lines(port) as worker:
        gateway.send(json.dumps({"event": "gateway_connect", "address": ONE, "secret_key": "sec"}))
        wait_until(lambda: look_up_quietly(port) == (ONE,))
        assert json.loads(worker.ask('{"event":"worker_connect","secret_key":"sec"}'))["addresses"] == [ONE]
        (row,) = place.processes()
        assert row["kind"] == "Register"
        assert row["listen"] == [f"text://127.0.0.1:{port}"]
        assert row["extra"] == {"gateways": 1, "workers": 1}
        place.command("stop")
        assert worker.read() == gateway.read() == ""
    wait_until(lambda: not is_alive(row["pid"]))


def look_up_quietly(port: int) -> tuple[str, ...]:
    try:
        return look_up([f"127.0.0.1:{port}"], "sec", 5, 5).all
    except ConnectionError:
        return ()


def test_a_reload_of_all_brings_a_new_one_under_the_same_port(place: Place, run: Runner, hurry: None) -> None:
    port = start(place, 0.3)
    register = [f"127.0.0.1:{port}"]

    async def main() -> None:
        said: list[Addresses] = []
        gateway = Announcement(register, ONE, "sec")
        gateway.start()
        directory = Directory(register, "sec", said.append)
        directory.start()
        await until(lambda: directory.addresses.all == (ONE,))
        (pid,) = place.pids()
        await asyncio.to_thread(place.reload)
        assert place.pids() == [pid]
        await asyncio.to_thread(place.reload, everything=True)
        assert place.pids() != [pid]
        assert (await look_up_async(register, "sec", 5, 10)).all == (ONE,)
        assert [addresses.all for addresses in said] == [(ONE,)]
        await gateway.stop()
        await directory.stop()

    run(main())

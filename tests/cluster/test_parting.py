"""What the log says of links between gateways and workers that end, in good order or not."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time

import pytest

from tests.business.support import ScriptedGateway, cluster, extra, running, serving
from tests.net.support import Client, Runner, WebSocketClient, turns, until
from tests.ports import free_port, free_ports
from tests.process.support import Foreground, Place
from tests.process.support import until as wait_until
from tidegate import BusinessWorker, Gateway, Register
from tidegate.business import keeper
from tidegate.wire import commands
from tidegate.wire.packet import pack

STOPS = pack(commands.PING, ext=b'{"stops":1}')


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged."""
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "GONE_SECONDS", 0.3)


def said(notes: pytest.LogCaptureFixture, text: str) -> list[int]:
    """The levels at which something was logged."""
    return [record.levelno for record in notes.records if text in record.getMessage()]


def above_info(notes: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in notes.records if record.levelno > logging.INFO]


def test_a_gateway_that_stops_says_so_and_what_its_clients_sent_is_ended(
    run: Runner, notes: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []

    async def main() -> None:
        place = f"127.0.0.1:{free_port()}"
        register = await Register(place, settle_seconds=0).listen()
        gateway = Gateway("websocket://127.0.0.1:0", cluster=place, start_port=free_port())
        gateway._has_register = True  # nobody is told of its port once it stops
        await gateway.listen()
        worker = BusinessWorker(cluster=place)
        gate = asyncio.Event()

        @worker.on_message
        async def receive(client: object, message: str) -> None:
            log.append(message)
            await gate.wait()

        worker.on_close = lambda client: log.append("closed")
        await worker.listen()
        assert gateway.address is not None
        client = await WebSocketClient.open(gateway.address.port)
        with client:
            for text in ("one", "two"):
                await client.send_text(text)
            await until(lambda: extra(worker, "events_pending") >= 2 and log == ["one"])
            await gateway.stop(seconds=2, whole=True)
            await until(lambda: said(notes, "has stopped") == [logging.INFO])
            gate.set()
            # Not held until the gateway has been away for some seconds: nobody else has these events.
            await until(lambda: log == ["one", "two", "closed"], keeper.GONE_SECONDS / 2)
        await worker.stop(seconds=1)
        await register.stop(seconds=0.5)

    run(main())
    assert not above_info(notes)


@pytest.mark.parametrize("resets", [False, True])
def test_a_link_that_ends_without_a_farewell_is_one_warning(
    run: Runner, hurry: None, notes: pytest.LogCaptureFixture, resets: bool
) -> None:
    async def main() -> None:
        async with serving(lambda place: BusinessWorker(cluster=place)) as (worker, gateway, link):
            if resets:
                link._reader._transport.pause_reading()  # type: ignore[attr-defined]
                worker.send_to_all("not read")
                await asyncio.sleep(0.02)
            link.hang_up()
            await gateway.link(2)
            await until(lambda: said(notes, "there is a link to gateway"))

    run(main())
    (warning,) = above_info(notes)
    assert ("Connection reset by peer" if resets else "most likely its process has died") in warning
    assert said(notes, "there is a link to gateway") == [logging.INFO]


@pytest.mark.parametrize("is_tidegate", [True, False])
def test_a_gateway_that_goes_in_good_order_and_stays_listed_is_warned_of_when_it_does_not_come_back(
    run: Runner, hurry: None, notes: pytest.LogCaptureFixture, is_tidegate: bool
) -> None:
    async def main() -> None:
        gateway = ScriptedGateway(is_tidegate=is_tidegate)
        async with cluster(gateway) as register, running(BusinessWorker(cluster=register.place)):
            link = await gateway.link()
            await asyncio.sleep(keeper.RETRY_SECONDS + 0.02)  # for a link to PHP's to be none that was refused
            if is_tidegate:
                link.say(STOPS)
                await turns(10)
            began = time.monotonic()
            await gateway.stop()
            await until(lambda: above_info(notes))
            assert time.monotonic() - began >= keeper.GONE_SECONDS - 0.01

    run(main())
    (warning,) = above_info(notes)
    assert "can't be reached: Connection refused" in warning
    assert said(notes, "has stopped" if is_tidegate else "hung up") == [logging.INFO]


def test_a_gateway_that_hangs_up_at_once_and_only_once_has_not_refused_us(
    run: Runner, hurry: None, notes: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gateway = ScriptedGateway(is_tidegate=False)
        async with cluster(gateway) as register, running(BusinessWorker(cluster=register.place)):
            (await gateway.link()).hang_up()
            await gateway.link(2)
            await asyncio.sleep(keeper.RETRY_SECONDS + 0.02)
            gateway.links[1].hang_up()
            await gateway.link(3)
            gateway.links[2].hang_up()
            await gateway.link(4)

    run(main())
    assert not above_info(notes)
    assert len(said(notes, "hung up at once")) == 2


def test_an_inner_port_closes_at_once_also_while_connections_are_on_their_way(run: Runner) -> None:
    async def main() -> None:
        place = f"127.0.0.1:{free_port()}"
        register = await Register(place, settle_seconds=0).listen()
        for patience in range(8):
            inner = free_port()
            gateway = Gateway("websocket://127.0.0.1:0", cluster=place, start_port=inner)
            await gateway.listen()
            inside = gateway._inner
            assert inside is not None
            clients = [await Client.connect(inner) for _ in range(3)]
            await turns(patience)
            began = time.monotonic()
            await inside.close(5)
            assert time.monotonic() - began < 1
            assert not inside._links
            gateway._has_register = True
            await gateway.stop(seconds=1, whole=True)
            for client in clients:
                client.sock.close()
        await register.stop(seconds=0.5)

    run(main())


APP = """
import asyncio
from tidegate import App, BusinessWorker, Gateway, Register

CLUSTER = "127.0.0.1:{register}"
business = BusinessWorker(count={count}, cluster=CLUSTER)
app = App(
    Register(CLUSTER, settle_seconds=0.3),
    Gateway("text://127.0.0.1:0", name="lines", count={count}, start_port={inner}, cluster=CLUSTER),
    business,
)

@business.on_message
async def answer(client, message):
    client.join_group("all")
    client.send(message)
    await asyncio.sleep(0.3)

@business.on_close
def leave(client):
    business.send_to_group("all", "somebody left")
"""


def start(place: Place, count: int = 2) -> tuple[Foreground, int]:
    """Start a cluster; gives it, and the port for clients."""
    place.write(APP.format(register=free_port(), inner=free_ports(2), count=count))
    app = place.hurry("from tidegate.gateway import gateway\ngateway.LISTED_SECONDS = 0.3").ready()
    return app, place.port(role="lines")


def log(app: Foreground) -> list[str]:
    return (app.out.read_text() + app.err.read_text()).splitlines()


def warnings(app: Foreground) -> list[str]:
    return [line for line in log(app) if " WARNING " in line or " ERROR " in line]


async def talk(port: int, count: int) -> list[Client]:
    """Clients whose handlers are under way, another event waiting behind each."""
    clients = [await Client.connect(port) for _ in range(count)]
    for client in clients:
        await client.send(b"one\ntwo\n")
    for client in clients:
        assert await client.read_line() == "one"
    return clients


def test_a_stop_under_load_is_no_reason_to_warn(place: Place) -> None:
    app, port = start(place)

    async def main() -> None:
        clients = await talk(port, 12)
        await asyncio.to_thread(place.command, "stop")
        await asyncio.to_thread(app.ends)
        for client in clients:
            client.sock.close()

    asyncio.run(main())
    assert app.ends() == 0
    assert warnings(app) == []


def test_replacing_every_process_is_no_reason_to_warn(place: Place) -> None:
    app, _ = start(place, 1)
    before = place.pids()
    place.reload(everything=True)
    assert not set(before) & set(place.pids())
    place.command("stop")
    assert app.ends() == 0
    assert warnings(app) == []


def test_a_killed_gateway_is_one_warning_of_each_worker(place: Place) -> None:
    app, _ = start(place)
    victim = next(row["pid"] for row in place.processes() if row["role"] == "lines#0")
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: sum("is here" in line for line in log(app)) >= 6)  # and again with its successor
    told = [line for line in warnings(app) if "most likely its process has died" in line]
    assert len(told) == 2
    (other,) = (line for line in warnings(app) if line not in told)
    assert "lines#0" in other  # the supervisor's own

"""Register over sockets, in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.net.support import Client, Runner, turns, until
from tidegate.app import App
from tidegate.errors import AddressError, ConfigurationError
from tidegate.net import reactor
from tidegate.process import context
from tidegate.process.member import Member
from tidegate.register import register as room
from tidegate.register.register import Register
from tidegate.wire.register_line import PING, gateway_connect, worker_connect
from tidegate.worker import Worker

ONE, TWO = "127.0.0.1:2900", "127.0.0.1:2901"


@contextlib.asynccontextmanager
async def registering(settle_seconds: float = 0, **how: Any) -> AsyncIterator[tuple[Register, int]]:
    """A Register that listens, and its port."""
    register = Register("127.0.0.1:0", settle_seconds=settle_seconds, **how)
    await register.listen()
    try:
        assert register.address is not None
        yield register, register.address.port
    finally:
        await register.stop(seconds=0.5)


@contextlib.asynccontextmanager
async def saying(port: int, *lines: bytes) -> AsyncIterator[Client]:
    """A connection that says something first."""
    with await Client.connect(port) as client:
        await client.send(b"".join(lines))
        yield client


async def addresses(client: Client) -> list[str]:
    """The next list that it is sent."""
    message = json.loads(await client.read_line())
    assert message["event"] == "broadcast_addresses"
    found: list[str] = message["addresses"]
    return found


async def gateways(register: Register, count: int) -> None:
    """Wait until so many have announced themselves."""
    await until(lambda: register.snapshot()["extra"]["gateways"] == count)


def test_gateways_are_announced_as_long_as_they_are_there(run: Runner) -> None:
    async def main() -> None:
        async with registering() as (register, port), saying(port, worker_connect()) as worker:
            assert await worker.read_until(b"\n") == b'{"event":"broadcast_addresses","addresses":[]}\n'
            async with saying(port, gateway_connect(ONE)):
                assert await addresses(worker) == [ONE]
                async with saying(port, gateway_connect(TWO)), saying(port, worker_connect()) as push_client:
                    assert await addresses(worker) == [ONE, TWO]
                    line = json.loads(await push_client.read_line())
                    assert line["tidegate"] == line["addresses"] == [ONE, TWO]
                    assert register.snapshot()["extra"] == {"gateways": 2, "workers": 2}
                    assert len(register.connection_rows(10)) == 4
                assert await addresses(worker) == [ONE]
            assert await addresses(worker) == []
            await until(lambda: register.snapshot()["extra"] == {"gateways": 0, "workers": 1})

    run(main())


def test_what_comes_and_goes_in_one_turn_is_told_once(run: Runner) -> None:
    async def main() -> None:
        async with registering() as (register, port), saying(port, worker_connect()) as worker:
            assert await addresses(worker) == []
            async with contextlib.AsyncExitStack() as stack:
                for number in range(20):
                    await stack.enter_async_context(saying(port, gateway_connect(f"127.0.0.1:{3000 + number}")))
                while len(await addresses(worker)) < 20:
                    pass
                for connection in tuple(register.connections.values()):
                    if connection.remote_port != worker.port:
                        connection.destroy()
                assert await addresses(worker) == []

    run(main())


def test_a_question_is_answered_also_where_no_more_will_be_sent(run: Runner) -> None:
    async def main() -> None:
        async with registering() as (_, port), saying(port, worker_connect()) as client:
            client.shut()
            assert json.loads(await client.read_to_end())["addresses"] == []

    run(main())


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_line_may_end_as_it_likes_and_come_in_pieces(run: Runner, ending: bytes) -> None:
    async def main() -> None:
        async with registering() as (_, port), saying(port) as client:
            for byte in worker_connect().rstrip() + ending:
                await client.send(bytes([byte]))
                await turns(1)
            assert await addresses(client) == []

    run(main())


def test_answers_are_held_back_until_it_has_settled(run: Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with registering(0.3) as (register, port), saying(port, worker_connect()) as worker:
            await until(lambda: register.snapshot()["extra"]["workers"] == 1)
            async with saying(port, gateway_connect(ONE)), saying(port, gateway_connect(TWO)):
                await gateways(register, 2)
                assert sorted(await addresses(worker)) == [ONE, TWO]
                assert loop.time() - began >= 0.28

    run(main())


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"{}\n",
        b'{"event":"hello"}\n',
        b"\xff\xfe\n",
        b"GET / HTTP/1.1\r\n",
        worker_connect("wrong"),
        worker_connect(),
        gateway_connect("localhost:1", "sec"),
        gateway_connect(ONE, "sec") + worker_connect("sec"),
        worker_connect("sec") + gateway_connect(ONE, "sec"),
        b"x" * (64 * 1024 + 1),
    ],
    ids=lambda line: line[:40],
)
def test_a_line_that_may_not_be_closes_the_connection_and_is_counted(
    run: Runner, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with registering(secret_key="sec") as (register, port):
            async with saying(port, line) as client:
                assert ONE.encode() not in await client.read_to_end()
            await until(lambda: not register.connections)
            assert register.snapshot()["protocol_errors"] == 1
            assert register.snapshot()["extra"] == {"gateways": 0, "workers": 0}
            async with saying(port, worker_connect("sec")) as client:
                assert await addresses(client) == []

    run(main())
    assert [record for record in caplog.records if "127.0.0.1" in record.getMessage()]
    assert not [record for record in caplog.records if "sec" in record.getMessage().replace("secret_key", "")]


def test_a_refused_gateway_is_forgotten_before_its_connection_has_ended(run: Runner) -> None:
    async def main() -> None:
        async with registering() as (_, port), saying(port, worker_connect()) as worker:
            assert await addresses(worker) == []
            async with saying(port, gateway_connect(ONE)) as gateway:
                assert await addresses(worker) == [ONE]
                await gateway.send(b"what?\n")
                assert await addresses(worker) == []

    run(main())


def test_who_says_nothing_or_only_pings_is_closed(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FIRST_LINE_SECONDS", 0.2)
    monkeypatch.setattr(reactor, "TICK_SECONDS", 0.05)  # a few of which those that are closed are waited for

    async def main() -> None:
        async with (
            registering() as (register, port),
            saying(port, worker_connect()) as worker,
            saying(port, gateway_connect(ONE)) as gateway,
            saying(port) as silent,
            saying(port, PING) as pinging,
            saying(port, worker_connect().rstrip()) as half,
        ):
            for client in (silent, pinging, half):
                assert await client.read_to_end() == b""
            await until(lambda: len(register.connections) == 2)
            assert register.snapshot()["protocol_errors"] == 3
            await worker.send(PING)
            await gateway.send(PING + PING)
            await asyncio.sleep(0.3)
            assert register.snapshot()["extra"] == {"gateways": 1, "workers": 1}
            await worker.send(worker_connect())
            while await addresses(worker) != [ONE]:
                pass

    run(main())


def test_a_worker_that_does_not_read_is_closed_and_the_others_are_told(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SEND_BUFFER_LIMIT", 1000)

    async def main() -> None:
        async with registering() as (register, port), saying(port, worker_connect()) as worker:
            assert await addresses(worker) == []
            with await Client.connect(port, receive_buffer=4096) as deaf:
                await deaf.send(worker_connect())
                await until(lambda: register.snapshot()["extra"]["workers"] == 2)
                number = 0
                while register.snapshot()["extra"]["workers"] == 2:
                    number += 1
                    async with saying(port, gateway_connect(f"127.0.0.1:{number}")):
                        assert await addresses(worker) == [f"127.0.0.1:{number}"]
                        for _ in range(200):
                            await deaf.send(worker_connect())
                    assert await addresses(worker) == []
            assert register.snapshot()["slow_consumers"] == 1

    run(main())


def test_a_stop_closes_all_and_tells_nobody_that_gateways_went(run: Runner) -> None:
    async def main() -> None:
        async with registering() as (register, port), saying(port, worker_connect()) as worker:
            assert await addresses(worker) == []
            async with saying(port, gateway_connect(ONE)) as gateway, saying(port) as unknown:
                assert await addresses(worker) == [ONE]
                await until(lambda: len(register.connections) == 3)
                await register.stop(seconds=2)
                for client in (worker, gateway, unknown):
                    assert await client.read_to_end() == b""

    run(main())


def mutated(rng: random.Random) -> bytes:
    """A line as it should be with something wrong in it, or anything at all."""
    choice = rng.random()
    if choice < 0.3:
        return rng.randbytes(rng.randrange(200))
    line = bytearray(rng.choice([worker_connect(), gateway_connect(ONE), gateway_connect("1.2.3.4:5"), PING]))
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(line))
        line[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return bytes(line) * rng.randrange(1, 4)


def test_random_and_mutated_bytes_leave_it_serving_others(run: Runner) -> None:
    rng = random.Random(7)

    async def attack(port: int) -> None:
        with contextlib.suppress(OSError):
            async with saying(port, mutated(rng)) as client:
                if rng.random() < 0.5:
                    client.shut()
                    await asyncio.wait_for(client.read_to_end(), 5)
                elif rng.random() < 0.5:
                    client.reset()

    async def main() -> None:
        async with (
            registering() as (register, port),
            saying(port, worker_connect()) as worker,
            saying(port, gateway_connect(TWO)),
        ):
            for _ in range(20):
                await asyncio.gather(*(attack(port) for _ in range(20)))
            await until(lambda: len(register.connections) <= 2)
            while await addresses(worker) != [TWO]:
                pass
            async with saying(port, worker_connect()) as client:
                assert await addresses(client) == [TWO]

    run(main())


@pytest.mark.parametrize("address", ["1236", "127.0.0.1", "websocket://127.0.0.1:1236", "unix:///tmp/x", "", "a:99999"])
def test_an_address_that_is_none_is_an_error_that_says_what_is_right(address: str) -> None:
    with pytest.raises(AddressError, match=r"write host:port, such as '127\.0\.0\.1:1236'"):
        Register(address)


def test_the_address_may_be_written_as_in_php_and_names_it() -> None:
    for address in ("127.0.0.1:1236", "text://127.0.0.1:1236"):
        register = Register(address)
        assert (str(register.address), register.name) == ("text://127.0.0.1:1236", "register-1236")
    assert str(Register().address) == "text://127.0.0.1:1236"
    assert Register(name="meeting").name == "meeting"
    assert isinstance(Register(), Member)


@pytest.mark.parametrize("secret_key", ['a"b', "a\\b", "a\nb"])
def test_a_secret_that_php_could_not_send_is_an_error_that_does_not_show_it(secret_key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Register(secret_key=secret_key).describe({})
    assert secret_key not in str(caught.value)


class GatewayLike(Worker):
    def inner_ports(self, config: Any) -> range:
        return range(2900, 2901)


def test_its_row_tells_all_that_its_process_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SECRET_KEY", "sec")
    App(register := Register(name="meeting"), GatewayLike("tcp://127.0.0.1:0"))
    row = json.loads(json.dumps(register.describe({"settle_seconds": 1})))
    assert row == {
        "name": "meeting",
        "kind": "Register",
        "listen": "text://127.0.0.1:1236",
        "count": 1,
        "reuse_port": False,
        "reloadable": False,
        "overlap": False,
        "stage": 2,
        "settings": {"secret_key": "sec", "cluster_ssl": None, "settle_seconds": 1, "has_gateways": True},
    }
    monkeypatch.delenv("TIDEGATE_SECRET_KEY")
    assert Register.from_settings(row).describe({}) == row
    alone = Register(name="meeting")
    App(alone)
    assert alone.describe({})["settings"] == {
        "secret_key": "",
        "cluster_ssl": None,
        "settle_seconds": 2,
        "has_gateways": False,
    }


@pytest.mark.parametrize(
    ("is_first_start", "has_gateways", "settles"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, True)],
)
def test_it_settles_unless_its_gateways_start_together_with_it(
    run: Runner, is_first_start: bool, has_gateways: bool, settles: bool
) -> None:
    async def main() -> None:
        standalone = context.Standalone()
        standalone.is_first_start = is_first_start
        context.enter(standalone)
        register = Register("127.0.0.1:0", settle_seconds=0.15)
        others = [GatewayLike("tcp://127.0.0.1:0")] if has_gateways else []
        App(register, *others)
        await register.listen()
        assert register.address is not None
        began = asyncio.get_running_loop().time()
        async with saying(register.address.port, worker_connect()) as client:
            assert await addresses(client) == []
        assert (asyncio.get_running_loop().time() - began > 0.1) == settles
        await register.stop(seconds=0.5)

    run(main())


def test_it_warns_where_anybody_could_join_the_cluster(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main(address: str, secret_key: str) -> None:
        register = Register(address, secret_key=secret_key)
        await register.listen()
        await register.stop(seconds=0.1)

    for address, secret_key, warns in (("0.0.0.0:0", "", True), ("0.0.0.0:0", "s", False), ("127.0.0.1:0", "", False)):
        caplog.clear()
        run(main(address, secret_key))
        assert ("without a secret_key" in caplog.text) == warns

"""How a push client asks where the gateways are, in both ways."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.cluster.support import PHP_REFUSAL, STRANGERS, ScriptedRegister, listing
from tests.net.support import Runner
from tests.ports import free_port
from tidegate.cluster.lookup import look_up, look_up_async
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.wire.register_line import PING, Addresses

LookUp = Callable[..., Awaitable[Addresses]]


async def look_up_in_thread(*args: Any) -> Addresses:
    return await asyncio.to_thread(look_up, *args)


WAYS: dict[str, LookUp] = {"blocking": look_up_in_thread, "async": look_up_async}


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> LookUp:
    return functools.partial(WAYS[request.param])


def test_the_first_list_is_taken_whatever_shape_it_has(run: Runner, ask: LookUp) -> None:
    answers = [
        listing("127.0.0.1:2900", "127.0.0.1:2901"),
        PING + b'{"event":"broadcast_addresses","addresses":{"0":"127.0.0.1:2900","2":"127.0.0.1:2901"}}\n',
        listing("127.0.0.1:2900", "127.0.0.1:2900", "127.0.0.1:2901").replace(b"\n", b"\r\n"),
        listing("127.0.0.1:2900", "127.0.0.1:2901") + listing("127.0.0.9:1"),
    ]

    async def main() -> None:
        async with ScriptedRegister() as register:
            for register.answer in answers:
                found = await ask([register.place], "sec", 2, 2)
                assert found == Addresses(("127.0.0.1:2900", "127.0.0.1:2901"))
            register.answer = listing("127.0.0.1:2900", "127.0.0.1:2901", tidegate=["127.0.0.1:2901"])
            assert (await ask([register.place], "sec", 2, 2)).tidegate == {"127.0.0.1:2901"}
            assert register.lines == 5 * [{"event": "worker_connect", "secret_key": "sec"}]

    run(main())


def test_an_answer_may_come_in_pieces(run: Runner, ask: LookUp) -> None:
    line = listing("127.0.0.1:2900")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for byte in line:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", free_port())
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await ask([place], "", 2, 2)).all == ("127.0.0.1:2900",)
        server.close()

    run(main())


def test_the_next_register_is_asked_where_one_is_of_no_use(run: Runner, ask: LookUp) -> None:
    async def main() -> None:
        async with (
            ScriptedRegister(hangs_up=True, answer=PHP_REFUSAL) as refusing,
            ScriptedRegister(None) as silent,
            ScriptedRegister() as empty,
            ScriptedRegister(listing("127.0.0.1:2900")) as good,
        ):
            places = [f"127.0.0.1:{free_port()}", *(each.place for each in (refusing, silent, empty, good))]
            assert (await ask(places, "", 2, 0.1)).all == ("127.0.0.1:2900",)
            assert (await ask([good.place, silent.place], "", 2, 0.1)).all == ("127.0.0.1:2900",)
            assert len(silent.lines) == 1

    run(main())


@pytest.mark.parametrize("resets", [False, True])
def test_one_that_stops_while_it_is_asked_is_asked_once_more(run: Runner, ask: LookUp, resets: bool) -> None:
    async def main() -> None:
        async with ScriptedRegister(listing("127.0.0.1:2900")) as register:
            register.cuts_off, register.resets = 1, resets
            assert (await ask([register.place], "", 2, 2)).all == ("127.0.0.1:2900",)
            assert register.accepted == 2
            register.cuts_off = 9
            error = await failure(ask([register.place], "", 2, 2))
            assert ("broke the connection off" if resets else "secret_key") in str(error)
            assert register.accepted == 4

    run(main())


def test_being_asked_once_more_gives_it_no_more_time(run: Runner, ask: LookUp) -> None:
    async def main() -> None:
        async with ScriptedRegister(None) as register:

            async def cut_off() -> None:
                await asyncio.sleep(0.4)
                register.writers[0].close()

            cutting = asyncio.create_task(cut_off())
            began = time.monotonic()
            error = await failure(ask([register.place], "", 2, 0.5))
            assert 0.45 < time.monotonic() - began < 0.85
            assert str(error) == f"Register {register.place} did not answer within 0.5 s"
            assert register.accepted == 2
            await cutting

    run(main())


async def failure(awaitable: Awaitable[Any]) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize("answer", [PHP_REFUSAL, b"", b'{"event":"ping"}\n', b"no end of line"])
def test_a_refusal_names_the_register_and_never_the_secret(run: Runner, ask: LookUp, answer: bytes) -> None:
    async def main() -> None:
        async with ScriptedRegister(answer, hangs_up=True) as register:
            error = await failure(ask([register.place], "hush", 2, 2))
            assert not isinstance(error, ClusterTimeoutError)
            text = str(error)
            assert f"Register {register.place} refused" in text
            assert "secret_key" in text
            assert "hush" not in text
            assert register.accepted == (1 if answer else 2)

    run(main())


@pytest.mark.parametrize(("line", "what"), STRANGERS.values(), ids=STRANGERS)
def test_what_listens_in_its_place_is_named_where_it_says_so(run: Runner, ask: LookUp, line: bytes, what: str) -> None:
    async def main() -> None:
        async with ScriptedRegister(first=line, hangs_up=True) as register:
            told = str(await failure(ask([register.place], "hush", 2, 2)))
            assert told == f"Register {register.place} gave no list: {what.format(register.place)}"
            assert register.accepted == 1

    run(main())


@pytest.mark.parametrize("answer", [b'{"event":"hello"}\n', b'{"event":"broadcast_addresses"}\n', b"x" * 2_000_000])
def test_what_is_no_registers_answer_is_an_error(run: Runner, ask: LookUp, answer: bytes) -> None:
    async def main() -> None:
        async with ScriptedRegister(answer) as register:
            error = await failure(ask([register.place], "", 2, 5))
            assert f"Register {register.place} sent" in str(error)

    run(main())


def test_a_register_without_gateways_is_an_error(run: Runner, ask: LookUp) -> None:
    async def main() -> None:
        async with ScriptedRegister() as register:
            error = await failure(ask([register.place], "", 2, 2))
            assert str(error).startswith(f"Register {register.place} knows of no gateway")

    run(main())


def test_each_that_could_not_be_reached_is_named_with_the_reason(run: Runner, ask: LookUp) -> None:
    places = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"]

    async def main() -> None:
        error = await failure(ask(places, "", 2, 2))
        assert isinstance(error, ConnectionError)
        assert not isinstance(error, TimeoutError)
        assert str(error) == "; ".join(f"Register {place} can't be reached: Connection refused" for place in places)
        error = await failure(ask(["no.such.host.invalid:1"], "", 5, 2))
        assert "Register no.such.host.invalid:1 can't be reached" in str(error)

    run(main())


@pytest.mark.parametrize("drips", [False, True])
def test_no_answer_in_time_is_a_time_out(run: Runner, ask: LookUp, drips: bool) -> None:
    async def main() -> None:
        async with ScriptedRegister(None) as register:

            async def drip() -> None:
                while True:
                    register.say(PING)
                    await asyncio.sleep(0.01)

            dripping = asyncio.create_task(drip() if drips else asyncio.sleep(0))
            began = time.monotonic()
            error = await failure(ask([register.place], "", 2, 0.2))
            assert 0.15 < time.monotonic() - began < 2
            assert isinstance(error, ClusterTimeoutError)
            assert isinstance(error, TimeoutError)
            assert str(error) == f"Register {register.place} did not answer within 0.2 s"
            dripping.cancel()

    run(main())


def test_no_connection_in_time_is_a_time_out(run: Runner, ask: LookUp) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            place = f"127.0.0.1:{server.getsockname()[1]}"
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(server.getsockname())
            error = await failure(ask([place], "", 0.1, 2))
            assert isinstance(error, ClusterTimeoutError)
            assert str(error) == f"Register {place} was not reached within 0.1 s"
            for sock in waiting:
                sock.close()

    run(main())


def test_a_lookup_that_is_cancelled_leaves_nothing(run: Runner) -> None:
    async def main() -> None:
        async with ScriptedRegister(None) as register:
            for patience in range(8):
                task = asyncio.create_task(look_up_async([register.place], "", 2, 2))
                for _ in range(patience):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    run(main())


def test_the_question_is_a_line_of_json() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterTimeoutError):
            look_up([place], "s", 2, 0.05)
        connection, _ = server.accept()
        with connection:
            line = connection.recv(1000)
    assert line == b'{"event":"worker_connect","secret_key":"s"}\n'
    json.loads(line)

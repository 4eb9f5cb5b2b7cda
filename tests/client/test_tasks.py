"""The asyncio client among tasks, cancellations and event loops."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable

import pytest

from tests.client.support import Driven, ScriptedGateway, ScriptedRegister, framed, until
from tests.net.support import LOOPS, Runner, turns
from tests.net.support import until as until_async
from tidegate.client import channel, pipeline
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.errors import ClusterError, ClusterTimeoutError


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


def test_commands_leave_in_the_order_in_which_they_were_begun(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient(register.address) as client:
            await asyncio.gather(
                *(
                    client.send_to_all(str(number)) if number % 3 else client.send_to_client(one, str(number))
                    for number in range(300)
                )
            )
            await client.flush()

    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        one = gateway.client_id()
        run(main())
        assert gateway.bodies() == [str(number) for number in range(300)]
        assert (gateway.accepted, len(register.lines)) == (1, 1)


def test_answers_reach_the_tasks_that_asked_without_waiting_for_each_other(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient() as client:
            answers = asyncio.gather(*(client.is_online(gateway.client_id(number % 2)) for number in range(100)))
            assert await answers == [bool(number % 2) for number in range(100)]

    with ScriptedGateway(lambda packet: framed(packet[1])) as gateway:
        run(main())
        assert len(gateway.packets) == 100
        assert gateway.accepted == 1


def test_a_query_that_is_cancelled_does_not_put_answers_out_of_step(run: Runner) -> None:
    goes_on = threading.Event()

    async def main() -> None:
        async with AsyncGatewayClient() as client:
            await client.send_to_client(gateway.client_id(), "hello")
            tasks = [asyncio.ensure_future(client.is_online(gateway.client_id(number))) for number in (1, 0, 1, 0)]
            await until_async(lambda: len(gateway.packets) >= 2)
            tasks[0].cancel()
            tasks[1].cancel()
            await turns()
            goes_on.set()
            assert await asyncio.gather(*tasks[2:]) == [True, False]
            assert await client.is_online(gateway.client_id(1))
        assert tasks[0].cancelled()

    with ScriptedGateway(lambda packet: framed(packet[1]) if goes_on.wait(20) else None) as gateway:
        run(main())
        assert gateway.accepted == 1


def test_what_is_cancelled_before_it_left_is_never_sent(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient(register.address) as client:
            tasks = [asyncio.ensure_future(client.send_to_all(str(number))) for number in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.wait(tasks)
            await client.flush()

    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        run(main())
        assert gateway.bodies() == ["0", "2"]


def test_a_time_out_fails_all_that_waits_on_the_connection(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient(timeout=0.3) as client:
            tasks = [asyncio.ensure_future(client.is_online(gateway.client_id(number))) for number in range(3)]
            await asyncio.wait(tasks)
            assert all(isinstance(task.exception(), ClusterTimeoutError) for task in tasks)
            gateway.answer = lambda _: framed(1)
            assert await client.is_online(gateway.client_id())

    with ScriptedGateway(lambda _: None) as gateway:
        run(main())
        assert gateway.accepted == 2


def test_sending_waits_while_the_gateway_does_not_read(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "DRAIN_LIMIT", 65_536)

    async def main() -> None:
        async with AsyncGatewayClient() as client:
            await client.send_to_client(gateway.client_id(), "hello")
            gateway.reads.clear()
            task = asyncio.ensure_future(flood(client))
            await asyncio.wait([task], timeout=0.3)
            assert not task.done()
            gateway.reads.set()
            await task
            await client.flush()

    async def flood(client: AsyncGatewayClient) -> None:
        for _ in range(5):
            await client.send_to_client(gateway.client_id(), "x" * 5_000_000)

    with ScriptedGateway() as gateway:
        run(main())
        assert [len(body) for body in gateway.bodies()] == [5, *[5_000_000] * 5]


def test_more_than_the_limit_is_not_kept_for_a_gateway(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline, channel):
        monkeypatch.setattr(module, "MAX_UNSENT", 1_000_000)

    async def main() -> None:
        async with AsyncGatewayClient() as client:
            sends = [client.send_to_client(gateway.client_id(), "x" * 400_000) for _ in range(5)]
            results = await asyncio.gather(*sends, return_exceptions=True)
            assert [type(result) for result in results] == [type(None)] * 2 + [ClusterError] * 3
            assert f"gateway {gateway.address} has not taken 800056 bytes yet" in str(results[-1])

    with ScriptedGateway() as gateway:
        run(main())


@pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)
def test_a_second_event_loop_is_a_clear_error(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with ScriptedGateway() as gateway, Driven(make_loop) as driven:
        driven.send_to_client(gateway.client_id(), "hello")
        with (
            asyncio.Runner(loop_factory=make_loop) as other,
            pytest.raises(RuntimeError, match="in another event loop before: make one for each"),
        ):
            other.run(send(driven.client, gateway.client_id()))
        driven.send_to_client(gateway.client_id(), "again")
        until(lambda: gateway.bodies() == ["hello", "again"])


async def send(client: AsyncGatewayClient, client_id: str) -> None:
    await client.send_to_client(client_id, "hello")


def test_a_closed_client_can_not_be_used_and_what_waited_is_told(run: Runner) -> None:
    async def main() -> None:
        client = AsyncGatewayClient(register.address)
        waiting = asyncio.ensure_future(client.send_to_all("hello"))
        await until_async(lambda: register.lines)
        await client.aclose()
        await client.close()
        with pytest.raises(ClusterError, match="the client was closed"):
            await waiting
        with pytest.raises(RuntimeError, match="this AsyncGatewayClient is closed: make a new one"):
            await client.send_to_all("hello")

    with ScriptedRegister() as register:
        register.answer = None
        run(main())


def test_its_methods_are_coroutine_functions_and_wrong_arguments_are_told_when_awaited(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient() as client:
            with pytest.raises(ValueError, match="is no client id"):
                await client.is_online("x")
            with pytest.raises(ValueError, match="an empty uid"):
                await client.close_uid("")
            methods = [(name, getattr(client, name)) for name in dir(client) if not name.startswith("_")]
            assert len(methods) > 40
            assert [name for name, method in methods if not inspect.iscoroutinefunction(method)] == []
            assert list(inspect.signature(client.send_to_uid).parameters) == ["uid_or_list", "message", "raw"]

    run(main())


def test_a_connection_that_is_refused_fails_all_who_wait_for_it(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient() as client:
            sends = [client.send_to_client(gone.client_id(), "hello") for _ in range(3)]
            results = await asyncio.gather(*sends, return_exceptions=True)
            assert [str(result) for result in results] == 3 * [
                f"gateway {gone.address} can't be reached: Connection refused"
            ]

    with ScriptedGateway() as gone:
        pass
    run(main())


def test_a_flush_waits_behind_commands_that_wait_for_a_connection(run: Runner) -> None:
    async def main() -> None:
        async with AsyncGatewayClient(register.address) as client:
            sending = asyncio.ensure_future(client.send_to_all("hello"))
            await asyncio.sleep(0)
            await client.flush()
            assert gateway.bodies() == ["hello"]
            await sending

    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        run(main())

"""What has returned is carried out before what is called next, whichever threads call; against real gateways."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.gateway.support import Peer, gateway
from tests.net.support import LOOPS, Client, Runner
from tidegate.client.blocking import GatewayClient

CALLS = 500

Step = Callable[[int], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    return Runner(LOOPS[request.param])


def in_new_threads(step: Step) -> None:
    """Each call in a thread made for it."""
    for number in range(CALLS):
        thread = threading.Thread(target=step, args=(number,))
        thread.start()
        thread.join()


def in_turns(step: Step) -> None:
    """The calls in four threads, one after the other."""
    pools = [ThreadPoolExecutor(1) for _ in range(4)]
    for number in range(CALLS):
        pools[number % 4].submit(step, number).result()
    for pool in pools:
        pool.shutdown()


@pytest.mark.parametrize("call", [in_new_threads, in_turns])
def test_calls_one_after_the_other_in_several_threads_are_carried_out_in_order(
    run: Runner, call: Callable[[Step], None]
) -> None:
    def chain(pusher: GatewayClient) -> None:
        (client_id,) = pusher.get_all_client_id_list()
        wrong: list[tuple[int, object]] = []

        def step(number: int) -> None:
            text = str(number)
            if number % 7 == 6:
                found: object = pusher.get_uid_by_client_id(client_id)
                if found != f"u{number - 1}":
                    wrong.append((number, found))
                return
            pusher.bind_uid(client_id, f"u{number}")
            sends: list[Callable[[], None]] = [
                lambda: pusher.send_to_all(text),
                lambda: pusher.send_to_client(client_id, text),
                lambda: pusher.send_to_uid(f"u{number}", text),
            ]
            sends[number % 3]()

        call(step)
        pusher.flush()
        assert not wrong

    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with (
                await Peer.worker(place.inner),
                await Client.connect(place.port) as client,
                GatewayClient(f"127.0.0.1:{place.register}") as pusher,
            ):
                while not await asyncio.to_thread(pusher.get_all_client_count):
                    pass
                chained = asyncio.create_task(asyncio.to_thread(chain, pusher))
                while not chained.done():  # so that the gateway finds the bytes of several calls at once
                    time.sleep(0.001)
                    await asyncio.sleep(0)
                await chained
                lines = [await client.read_line() for number in range(CALLS) if number % 7 != 6]
                assert lines == [str(number) for number in range(CALLS) if number % 7 != 6]

    run(main())


def test_commands_of_threads_at_once_arrive_each_in_its_order(run: Runner) -> None:
    def push(pusher: GatewayClient, thread: int) -> None:
        for number in range(200):
            pusher.send_to_all(f"{thread} {number}")
            if number % 50 == 49:
                assert pusher.get_all_client_count() == 1

    async def main() -> None:
        async with gateway("text://127.0.0.1:0") as place:
            with (
                await Peer.worker(place.inner),
                await Client.connect(place.port) as client,
                GatewayClient(f"127.0.0.1:{place.register}") as pusher,
            ):
                while not await asyncio.to_thread(pusher.get_all_client_count):
                    pass
                await asyncio.gather(*(asyncio.to_thread(push, pusher, thread) for thread in range(8)))
                numbers = [count() for _ in range(8)]
                for _ in range(8 * 200):
                    thread, number = map(int, (await client.read_line()).split())
                    assert number == next(numbers[thread])

    run(main())

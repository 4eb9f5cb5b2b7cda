"""What a gateway is told so that nothing is done twice: which events are begun, before what they cause is seen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.business.support import event, serving
from tests.net.support import Runner, turns
from tidegate import BusinessWorker
from tidegate.wire import commands

SUSPECT = commands.SCALAR | commands.AGAIN


@pytest.mark.parametrize("kind", ["def", "async", "threads"])
def test_each_is_told_to_be_begun_before_its_handler_is_called(run: Runner, kind: str) -> None:
    def make(register: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=register, threads=1 if kind == "threads" else 0)

        def receive(client: Any, message: str) -> None:
            client.send(message)

        async def receive_later(client: Any, message: str) -> None:
            await turns()
            client.send(message)

        worker.on_message = receive_later if kind == "async" else receive
        return worker

    async def main() -> None:
        async with serving(make) as (_, gateway, link):
            gateway.passed_over.clear()
            link.say(*(_event(gateway.port, number) for number in (1, 2, 3)))
            assert sorted(await link.texts(3)) == ["1", "2", "3"]
            await link.progress(3, 3)
            told = [packet for packet in gateway.received if packet[0] == commands.PROGRESS]
            started = [int.from_bytes(packet[4][:8]) for packet in told]
            assert {1, 2, 3} <= set(started)
            orders = [
                packet[0] for packet in gateway.received if packet[0] in (commands.PROGRESS, commands.SEND_TO_ONE)
            ]
            assert orders[0] == commands.PROGRESS

    run(main())


def _event(port: int, number: int) -> bytes:
    return event(port, commands.ON_MESSAGE, number, str(number).encode(), flags=SUSPECT)


def test_a_def_handler_that_gives_a_coroutine_is_begun_when_it_is_called(run: Runner) -> None:
    def make(register: str) -> BusinessWorker:
        worker = BusinessWorker(cluster=register)

        @worker.on_message
        def receive(client: Any, message: str) -> Any:
            client.send(message)
            return answer(client)

        async def answer(client: Any) -> None:
            await turns()
            client.send("done")

        return worker

    async def main() -> None:
        async with serving(make) as (_, _, link):
            for message in ("first", "second"):
                link.message(1, message)
                assert await link.texts(2) == [message, "done"]
            assert commands.PROGRESS in next(write for write in link.writes if commands.SEND_TO_ONE in write)

    run(main())

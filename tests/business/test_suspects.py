"""Events that were with a worker that died: before each is begun, its gateway is told so."""

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

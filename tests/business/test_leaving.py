"""A worker that hands its clients on: what it sent elsewhere for them comes before what the next one sends."""

from __future__ import annotations

import asyncio

from tests.business.support import ScriptedGateway, cluster
from tests.net.support import Runner, turns
from tidegate import BusinessWorker
from tidegate.wire import commands


def test_a_client_is_released_only_once_other_gateways_have_what_its_events_sent_there(run: Runner) -> None:
    async def main() -> None:
        own, other = ScriptedGateway(), ScriptedGateway()
        for gateway in (own, other):
            gateway.passed_over = {commands.WORKER_CONNECT}
        other.answer = lambda packet: None
        async with cluster(own, other) as register:
            worker = BusinessWorker(cluster=register.place)
            worker.on_message = lambda client, message: worker.send_to_all(message)
            await worker.listen()
            link, far = await own.link(), await other.link()
            link.message(1, "hello")
            assert (await far.next(commands.SEND_TO_ALL))[4] == b"hello"
            stopping = asyncio.create_task(worker.stop(graceful=True, seconds=5, reload=True))
            await link.next(commands.DRAIN)
            asked = await far.next(commands.QUERY)
            await turns(20)
            assert commands.RELEASE not in [packet[0] for packet in own.received]
            far.tell(commands.QUERY, asked[1], b"i:0;")
            assert (await link.next(commands.RELEASE))[4] == (1).to_bytes(4)
            await stopping

    run(main())

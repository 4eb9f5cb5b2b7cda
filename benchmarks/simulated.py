"""Gateways without clients, many in one process: `python -m benchmarks.simulated ADDRESS`, with orders on its input.

Each is what a gateway's process is, but for the process: its inner port, its place in the cluster, its own connection
to NATS. A watcher is what each worker and each AsyncGatewayClient is besides: told which gateways there are.

    gateways COUNT      have so many in all
    watchers COUNT      have so many in all; on NATS
    packets             of all gateways together, since they are there
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from typing import Any

from benchmarks.orders import serve
from tidegate import Gateway
from tidegate.cluster.nats.client import NatsClient
from tidegate.cluster.nats.members import Members
from tidegate.cluster.nats.url import parse_nats
from tidegate.testing.borrowing import elsewhere, listen_inside

__all__: list[str] = []

SECONDS = 30


class Simulated:
    """What there is.

    Args:
        address: of the cluster.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._gateways: list[Gateway] = []
        self._watchers: list[Members] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def gateways(self, count: int) -> int:
        """Have so many; gives how many there are."""
        return self._run(self._open(count))

    def watchers(self, count: int) -> int:
        """Have so many; gives how many there are."""
        return self._run(self._watch(count))

    def packets(self) -> int:
        """That all have received."""
        return self._run(self._count())

    def _run(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    async def _open(self, count: int) -> int:
        while len(self._gateways) < count:
            gateway = Gateway("websocket://127.0.0.1:0", name="simulated", cluster=self._address, count=1)
            await listen_inside(gateway)
            self._gateways.append(gateway)
        return len(self._gateways)

    async def _watch(self, count: int) -> int:
        while len(self._watchers) < count:
            client = NatsClient(parse_nats([self._address]), lambda _: None, name="simulated watcher")
            client.start()
            await client.connected(SECONDS)
            members = Members(client, lambda: None)
            members.start()
            if not await members.listed(SECONDS):
                raise TimeoutError("a watcher was not told which gateways there are")
            self._watchers.append(members)
        return len(self._watchers)

    async def _count(self) -> int:
        counts = [gateway.snapshot()["extra"] for gateway in self._gateways]
        return sum(count["inner_packets"] + count.get("nats_packets", 0) for count in counts)


def main() -> None:
    with elsewhere():
        simulated = Simulated(sys.argv[1])
        serve({"gateways": simulated.gateways, "watchers": simulated.watchers, "packets": simulated.packets})


if __name__ == "__main__":
    main()

"""A process that pushes, as a website's would: `python -m benchmarks.pushing`, with orders on standard input.

Each order pushes COUNT messages to UIDS uids in turn on connections that are warm, one call after the other, or a call
each PAUSE microseconds, and gives the moment at which it began and the seconds that its calls took:

    sync REGISTER COUNT UIDS PAUSE      by `GatewayClient.send_to_uid`
    group ADDRESS NAME COUNT            by `GatewayClient.send_to_group`, to one group of the cluster of that address
    async REGISTER COUNT UIDS PAUSE     by `AsyncGatewayClient.send_to_uid`
    bare PORT LINKS COUNT PAUSE         by a bare `send` of as many bytes on each of so many connections
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from typing import Any

from benchmarks.orders import serve
from benchmarks.wire import CYCLE, message
from tidegate import AsyncGatewayClient, GatewayClient

__all__: list[str] = []

MESSAGES = [message("say", number).decode() for number in range(CYCLE)]
PACKET = b"." * 183  # the size of a packet that sends such a message to a uid


class Pushes:
    """Keeps its connections from one order to the next."""

    def __init__(self) -> None:
        self._sync: dict[int | str, GatewayClient] = {}
        self._async: dict[int, AsyncGatewayClient] = {}
        self._bare: dict[tuple[int, int], list[socket.socket]] = {}
        self._runner = asyncio.Runner()

    def sync(self, register: int, count: int, uids: int, pause: int) -> dict[str, Any]:
        """Push by the blocking client."""
        client = self._client(register)
        client.flush()
        client.get_all_client_count()  # so that it is connected to all
        calls = calls_to(uids, count)
        times = Times()
        for uid, text in calls:
            began = time.perf_counter()
            client.send_to_uid(uid, text)
            times.add(began)
            if pause:
                time.sleep(pause / 1e6)
        return times.result()

    def awaited(self, register: int, count: int, uids: int, pause: int) -> dict[str, Any]:
        """Push by the async client."""
        return self._runner.run(self._awaited(register, count, uids, pause))

    def group(self, address: str, name: str, count: int) -> dict[str, Any]:
        """Push to a group; who is in no other process of a gateway's need not hear of it, so that nobody is asked."""
        client = self._client(address)
        client.send_to_group("nobody", "so that it is connected")
        times = Times()
        for number in range(count):
            began = time.perf_counter()
            client.send_to_group(name, MESSAGES[number % CYCLE])
            times.add(began)
        return times.result()

    def _client(self, cluster: int | str) -> GatewayClient:
        if cluster not in self._sync:
            self._sync[cluster] = GatewayClient(f"127.0.0.1:{cluster}" if isinstance(cluster, int) else cluster)
        return self._sync[cluster]

    async def _awaited(self, register: int, count: int, uids: int, pause: int) -> dict[str, Any]:
        if register not in self._async:
            self._async[register] = AsyncGatewayClient(f"127.0.0.1:{register}")
        client = self._async[register]
        await client.flush()
        await client.get_all_client_count()
        calls = calls_to(uids, count)
        times = Times()
        for uid, text in calls:
            began = time.perf_counter()
            await client.send_to_uid(uid, text)
            times.add(began)
            if pause:
                await asyncio.sleep(pause / 1e6)
        return times.result()

    def bare(self, port: int, links: int, count: int, pause: int) -> dict[str, Any]:
        """Send bytes that nobody looks at."""
        if (port, links) not in self._bare:
            self._bare[port, links] = [socket.create_connection(("127.0.0.1", port)) for _ in range(links)]
        socks = self._bare[port, links]
        times = Times()
        for _ in range(count):
            began = time.perf_counter()
            for sock in socks:
                sock.send(PACKET)
            times.add(began)
            if pause:
                time.sleep(pause / 1e6)
        return times.result()


class Times:
    """How long calls took."""

    def __init__(self) -> None:
        self._start, self._cpu = time.monotonic(), time.process_time()
        self._times: list[float] = []

    def add(self, began: float) -> None:
        """Count a call that has just ended."""
        self._times.append(time.perf_counter() - began)

    def result(self) -> dict[str, float]:
        """When the first began, seconds of all from there by clock and CPU, and the median microseconds of a call."""
        seconds = time.monotonic() - self._start
        cpu = time.process_time() - self._cpu
        return {"start": self._start, "seconds": seconds, "cpu": cpu, "median": statistics.median(self._times) * 1e6}


def calls_to(uids: int, count: int) -> list[tuple[str, str]]:
    """Uid and message of each call; each uid gets the messages in their order."""
    return [(f"user-{number % uids}", MESSAGES[number // uids % CYCLE]) for number in range(count)]


def main() -> None:
    pushes = Pushes()
    serve({"sync": pushes.sync, "async": pushes.awaited, "group": pushes.group, "bare": pushes.bare})


if __name__ == "__main__":
    main()

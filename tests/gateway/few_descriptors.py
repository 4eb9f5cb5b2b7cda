"""A gateway that has no file descriptors for a while, neither for clients nor for workers; then a few, for workers."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sys
import time

from tests.gateway.support import Peer, gateway
from tests.net.few_descriptors import MOST, take_all
from tests.net.support import LOOPS, Runner, WebSocketClient, until
from tidegate.net import listener
from tidegate.process.child import memory
from tidegate.wire import commands, php
from tidegate.wire.packet import pack


async def main() -> None:
    memory()
    async with gateway() as place:
        with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port) as first:
            assert [(await worker.event())[0] for _ in range(2)] == [1, 205]
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))
            late = [socket.socket() for _ in range(2)]
            hoard = take_all()
            for sock, port in zip(late, (place.inner, place.port), strict=True):
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(("127.0.0.1", port))
            began = time.process_time()
            await until(lambda: place.gateway.snapshot()["accept_pauses"] >= 3)
            await until(lambda: place.gateway.snapshot()["extra"]["inner_accept_pauses"] >= 3)
            assert time.process_time() - began < 0.2  # nothing spins
            assert memory() > 1_000_000  # status can be told
            for sock in hoard[-2:]:  # what is left is not for clients
                sock.close()
            push = Peer(late[0])
            await push.send(pack(commands.GET_CLIENT_COUNT_BY_GROUP))
            assert php.loads(await push.answer()) == 1
            await asyncio.sleep(3 * listener.PAUSE_SECONDS)
            assert not place.gateway._endpoint.opening  # type: ignore[union-attr]
            await first.send_text("meanwhile")
            assert (await worker.event())[2] == b"meanwhile"
            await worker.tell(commands.SEND_TO_ALL, body=b"an answer")
            assert await first.read_text() == "an answer"
            for sock in hoard:
                sock.close()
            await until(lambda: place.gateway._endpoint is not None and place.gateway._endpoint.opening)
            for sock in late:
                sock.close()
    print("all served")


if __name__ == "__main__":
    listener.PAUSE_SECONDS = 0.1
    Runner(LOOPS[sys.argv[1]])(main())

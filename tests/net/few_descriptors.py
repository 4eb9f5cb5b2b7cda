"""A program that has few file descriptors, and a worker that does without until there are more."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
from typing import Any

from tests.net.support import LOOPS, Client, Runner, serving, stats, until
from tidegate import Worker
from tidegate.net import listener

MOST = 64


async def main() -> None:
    worker = Worker("text://127.0.0.1:0")
    worker.on_message = lambda connection, line: connection.send(line)
    web = Worker("http://127.0.0.1:0", app=answer)
    async with serving(web) as web_port, serving(worker) as port:
        with await Client.connect(port) as first:
            await first.send(b"before\n")
            assert await first.read_line() == "before"
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))
            # A client outside would need no descriptors of this process; these are made ahead of the shortage.
            late = [socket.socket() for _ in range(4)]
            hoard = take_all()
            clients = []
            for sock, to in zip(late, (port, port, port, web_port), strict=True):
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(("127.0.0.1", to))
                clients.append(Client(sock))
            await until(lambda: stats(worker)["accept_pauses"] >= 2 <= stats(web)["accept_pauses"])
            await first.send(b"meanwhile\n")
            assert await first.read_line() == "meanwhile"
            assert len(worker.connections) == 1
            for sock in hoard:
                sock.close()
            visitor = clients.pop()
            await visitor.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await visitor.read_to_end()).startswith(b"HTTP/1.1 204")
            visitor.sock.close()
            for client in clients:
                await client.send(b"at last\n")
                assert await client.read_line() == "at last"
            assert len(worker.connections) == 4
            for client in clients:
                client.sock.close()
    print("all served")


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app; it has no lifespan."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


def take_all() -> list[socket.socket]:
    """Every file descriptor that is left."""
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(socket.socket())
    return taken


if __name__ == "__main__":
    listener.PAUSE_SECONDS = 0.1
    Runner(LOOPS[sys.argv[1]])(main())

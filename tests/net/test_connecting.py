"""How links between processes are made, and why they are not."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tests.net.links import Letters, Owner
from tests.net.support import Runner, turns, until
from tidegate.net.link import Link, connect_link
from tidegate.net.reactor import Reactor


def test_connecting_gives_a_link_that_has_keepalive(run: Runner) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            link = await connect_link(Link, "localhost", port, 5, Owner(), Letters(), limit=77)
            assert link.peer == ("127.0.0.1", port)
            assert link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            link.close()
            await until(lambda: link.is_closed)

    run(main())


def test_nobody_there_is_an_os_error_and_nothing_stays(run: Runner) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await connect_link(Link, "127.0.0.1", port, 5, Owner(), Letters())
        with pytest.raises(OSError, match=r".+"):
            await connect_link(Link, "no.such.host.invalid", port, 5, Owner(), Letters())

    run(main())


def full_server() -> tuple[socket.socket, list[socket.socket]]:
    """One that accepts nobody, and has no room for more who wait."""
    server = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(server.getsockname())
        waiting.append(sock)
    return server, waiting


def test_a_connection_that_is_not_made_in_time_is_a_time_out(run: Runner) -> None:
    async def main() -> None:
        server, waiting = full_server()
        try:
            with pytest.raises(TimeoutError):
                await connect_link(Link, *server.getsockname(), 0.1, Owner(), Letters())
        finally:
            for sock in (server, *waiting):
                sock.close()

    run(main())


def test_connecting_can_be_cancelled_at_any_turn(run: Runner) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            for patience in range(12):
                task = asyncio.create_task(connect_link(Link, *server.getsockname(), 5, Owner(), Letters()))
                await turns(patience)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    (await task).destroy()
                await until(lambda: asyncio.get_running_loop() not in Reactor._running)

    run(main())

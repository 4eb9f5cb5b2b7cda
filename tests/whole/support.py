"""Whole clusters: an app with Register, gateways and workers, started by the command line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.net.support import Client, WebSocketClient
from tests.ports import free_port, free_ports
from tests.process.support import Foreground, Place, until

APP = """
import asyncio, json, os, random, time
from tidegate import App, BusinessWorker, Gateway, Register

CLUSTER = "{cluster}"
business = BusinessWorker(count={workers}, cluster=CLUSTER, name="business")
app = App(
    Register(CLUSTER),
    Gateway("websocket://127.0.0.1:0", name="web", count={count}, start_port={web}, cluster=CLUSTER),
    {more}
    business,
)
"""

LINES = 'Gateway("text://127.0.0.1:0", name="lines", count={count}, start_port={lines}, cluster=CLUSTER),'

ROOM = """
@business.on_connect
def greet(client):
    client.send(f"hello {client.id} {os.getpid()}")
"""


class Cluster:
    """An app of a cluster, and where its parts are; the text gateway is only in it where terminals come.

    Args:
        nats: a URL, where the cluster is there; nothing else in the app is another.
    """

    app: Foreground

    def __init__(
        self,
        place: Place,
        code: str | None = None,
        *,
        count: int = 2,
        workers: int = 2,
        terminals: bool = False,
        nats: str | None = None,
    ) -> None:
        self.place = place
        self.register = free_port()
        self._nats = nats
        self.web, self.lines = free_ports(count), free_ports(count)
        self._how = {"count": count, "workers": workers}
        self._more = LINES.format(count=count, lines=self.lines) if terminals else ""
        if code is not None:
            self.write(code)
            self.start()

    def start(self) -> None:
        self.app = self.place.start().ready()

    def write(self, code: str) -> None:
        """Change the app's code."""
        app = APP.format(cluster=self.address, web=self.web, more=self._more, **self._how)
        self.place.write(app + code)

    @property
    def address(self) -> str:
        """As push clients are given it."""
        return self._nats or f"127.0.0.1:{self.register}"

    def port(self, name: str) -> int:
        """Where the clients of one of its gateways connect."""
        return self.place.port(role=name)

    def pids(self, name: str) -> list[int]:
        """The processes of a member, by their index."""
        rows = [row for row in self.place.processes() if row["role"].startswith(f"{name}#")]
        return [row["pid"] for row in rows]

    def is_whole(self) -> bool:
        """Whether every process runs."""
        return all(row["state"] == "running" for row in self.place.processes())

    def until_whole(self) -> None:
        until(self.is_whole)

    def counters(self, name: str) -> dict[str, int]:
        """What the processes of a member have counted besides what all count."""

        def rows() -> list[dict[str, Any]]:
            """Theirs, once all have answered: one that is busy does not at once."""
            found = [row for row in self.place.processes() if row["role"].startswith(f"{name}#")]
            return found if all(row.get("extra") for row in found) else []

        total: dict[str, int] = {}
        for row in until(rows):
            for key, value in row["extra"].items():
                total[key] = total.get(key, 0) + value
        return total


@contextlib.asynccontextmanager
async def browsers(cluster: Cluster, count: int) -> AsyncIterator[list[WebSocketClient]]:
    """Clients of the WebSocket gateway, closed at the end."""
    port = await asyncio.to_thread(cluster.port, "web")
    clients = [await WebSocketClient.open(port) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.sock.close()


@contextlib.asynccontextmanager
async def terminals(cluster: Cluster, count: int) -> AsyncIterator[list[Client]]:
    """Clients of the text gateway, closed at the end."""
    port = await asyncio.to_thread(cluster.port, "lines")
    clients = [await Client.connect(port) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.sock.close()


def in_time(work: Any, seconds: float = 30) -> Any:
    """Run a test's coroutine."""

    async def main() -> Any:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(main())

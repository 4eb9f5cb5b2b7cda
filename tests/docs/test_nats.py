"""docs/nats.md: its programs against a NATS server, and what it says of the server's configuration."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cluster.nats.conftest import nats
from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import namespace
from tests.docs.support import DOCS, blocks, run
from tests.net.support import WebSocketClient, until
from tests.ports import free_port
from tidegate import App, BusinessWorker, Gateway, GatewayClient

__all__ = ["nats"]

PAGE = DOCS / "nats.md"


def test_the_program_is_a_chat_and_a_site_pushes_through_it(nats: NatsServer) -> None:
    here = {"nats://127.0.0.1:4222": f"{nats.url}/{namespace()}", "0.0.0.0:7272": "127.0.0.1:0", "count=2, ": ""}

    def read(code: str) -> str:
        for there, place in here.items():
            code = code.replace(there, place)
        return code

    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(read(blocks(PAGE, "python")[0]), "nats.md", "exec"), names)
    app: App = names["app"]
    gateway, business = (
        next(each for each in app.members if isinstance(each, kind)) for kind in (Gateway, BusinessWorker)
    )
    gateway._given["start_port"] = free_port()
    gateway._has_register = True

    def push(client_id: str) -> None:
        with GatewayClient(names["CLUSTER"]) as site:
            site.bind_uid(client_id, 42)
            site.flush()
        code = read(blocks(PAGE, "py")[0])
        exec(compile(code, "nats.md", "exec"), {"GatewayClient": GatewayClient} | names)

    async def test() -> None:
        await gateway.listen()
        await business.listen()
        await until(lambda: gateway.snapshot()["extra"]["workers"] == 1)
        assert gateway.address is not None
        client = await WebSocketClient.open(gateway.address.port)
        try:
            await client.send_text("hello")
            assert await client.read_text() == "hello"
            with GatewayClient(names["CLUSTER"]) as site:
                (client_id,) = await asyncio.to_thread(site.get_client_id_list_by_group, "talkers")
            await asyncio.to_thread(push, client_id)
            assert await client.read_text() == "you have mail"
        finally:
            client.sock.close()
            await business.stop(seconds=0.5, whole=True)
            await gateway.stop(seconds=0.1, whole=True)

    run(test)

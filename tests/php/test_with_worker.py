"""A Tidegate BusinessWorker behind the original's gateways, and a Register of either kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.net.support import Runner, until
from tests.php.gateway import PhpGateway
from tests.php.support import a_register
from tests.ports import free_port
from tidegate import BusinessWorker, Client

SECRETS = ["", "s3cret"]


@contextlib.asynccontextmanager
async def php_gateways(register: int, secret: str, count: int = 2) -> AsyncIterator[list[PhpGateway]]:
    gateways = [PhpGateway(free_port(), register, secret) for _ in range(count)]
    for gateway in gateways:
        await gateway.start()
    try:
        yield gateways
    finally:
        for gateway in gateways:
            await gateway.stop()
        assert [gateway.strange for gateway in gateways] == [[]] * count


@contextlib.asynccontextmanager
async def running(worker: BusinessWorker) -> AsyncIterator[BusinessWorker]:
    await worker.listen()
    try:
        yield worker
    finally:
        await worker.stop(seconds=2)


def room(register: int, secret: str, **settings: Any) -> BusinessWorker:
    """Says what it is told to all of a group, and remembers it in the session."""
    business = BusinessWorker(cluster=f"127.0.0.1:{register}", secret_key=secret, **settings)

    @business.on_connect
    def greet(client: Client) -> None:
        client.send(f"hello {client.id}")

    @business.on_message
    async def receive(client: Client, message: str) -> None:
        client.session["said"] = [*client.session.get("said", []), message]
        match message.split(" ", 1):
            case ["join", name]:
                client.join_group(name)
                client.send(f"you are in {name}")
            case ["count"]:
                client.send(str(await business.get_client_count_by_group("room")))
            case _:
                business.send_to_group("room", f"{client.id}: {message}")

    return business


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", ["php", "tidegate"])
def test_it_serves_phps_clients_and_sends_nothing_that_php_does_not_know(run: Runner, kind: str, secret: str) -> None:
    async def main() -> None:
        async with a_register(kind, secret) as (register, restart), php_gateways(register, secret) as gateways:
            business = room(register, secret)
            closed: list[str] = []
            business.on_close = lambda client: closed.append(client.id)
            async with running(business):
                for gateway in gateways:
                    await gateway.linked()
                clients = [gateway.connect() for gateway in gateways]
                assert [await client.read() for client in clients] == [f"hello {client.id}" for client in clients]
                for client in clients:
                    client.send("join room")
                    assert await client.read() == "you are in room"
                clients[0].send("hi")
                assert [await client.read() for client in clients] == [f"{clients[0].id}: hi"] * 2
                clients[1].send("count")
                assert await clients[1].read() == "2"

                await restart()
                await business.bind_uid(clients[0].id, "u1")
                await until(lambda: clients[0].uid == "u1")
                assert await business.get_client_id_by_uid("u1") == [clients[0].id]
                business.send_to_uid("u1", "to one")
                assert await clients[0].read() == "to one"
                assert await business.get_session(clients[0].id) == {"said": ["join room", "hi"]}
                await business.update_session(clients[0].id, {"from": "outside"})
                clients[0].send("again")
                assert [await client.read() for client in clients] == [f"{clients[0].id}: again"] * 2
                expected = {"said": ["join room", "hi", "again"], "from": "outside"}
                while await business.get_session(clients[0].id) != expected:
                    await asyncio.sleep(0.005)
                business.close_client(clients[1].id, "bye")
                assert await clients[1].read() == "bye"
                await until(lambda: clients[1].id in closed)
                assert not await business.is_online(clients[1].id)
                clients[0].close()
                await until(lambda: clients[0].id in closed)

    run(main())


def test_it_finds_phps_gateway_again_and_calls_on_close_for_clients_that_are_gone(run: Runner) -> None:
    async def main() -> None:
        async with a_register("php", "") as (register, _):
            business = room(register, "")
            closed: list[str] = []
            business.on_close = lambda client: closed.append(client.id)
            async with running(business):
                port = free_port()
                gateway = PhpGateway(port, register)
                await gateway.start()
                await gateway.linked()
                client = gateway.connect()
                await client.read()
                await gateway.stop()
                again = PhpGateway(port, register)
                await again.start()
                await again.linked()
                await until(lambda: closed == [client.id])
                other = again.connect()
                assert await other.read() == f"hello {other.id}"
                assert gateway.strange == again.strange == []
                await again.stop()

    run(main())

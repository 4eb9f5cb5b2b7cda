"""A Tidegate gateway with the original's workers and push clients, and a Register of either kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.net.support import Runner, WebSocketClient, close_frame, until
from tests.php.client import PhpClient
from tests.php.support import a_register
from tests.php.worker import PhpWorker
from tests.ports import free_port
from tidegate.gateway.gateway import Gateway

SECRETS = ["", "s3cret"]


async def chat(worker: PhpWorker, event: str, client: str, message: Any) -> None:
    """Events.php of a small room."""
    if event == "onConnect":
        worker.sendToClient(client, f"hello {client}")
    elif event == "onMessage":
        session = worker.session or {}
        worker.session = {**session, "said": [*session.get("said", []), message]}
        match message.split(" ", 1):
            case ["join", room]:
                worker.joinGroup(client, room)
                worker.sendToClient(client, f"you are in {room}")
            case ["count"]:
                worker.sendToClient(client, str(await worker.client.getClientCountByGroup("room")))
            case _:
                await worker.client.sendToGroup("room", f"{client}: {message}")


@contextlib.asynccontextmanager
async def gateways(register: int, secret: str, count: int = 2) -> AsyncIterator[list[Gateway]]:
    members = [
        Gateway(
            "websocket://127.0.0.1:0",
            name=f"gateway {number}",
            start_port=free_port(),
            cluster=f"127.0.0.1:{register}",
            secret_key=secret,
        )
        for number in range(count)
    ]
    for member in members:
        member._has_register = True
        await member.listen()
    try:
        yield members
    finally:
        for member in members:
            await member.stop(seconds=1, whole=True)


def port_of(gateway: Gateway) -> int:
    assert gateway.address is not None
    return gateway.address.port


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", ["php", "tidegate"])
def test_phps_worker_and_push_client_work_through_it(run: Runner, kind: str, secret: str) -> None:
    async def main() -> None:
        async with a_register(kind, secret) as (register, restart), gateways(register, secret) as members:
            worker = PhpWorker(register, chat, secret=secret)
            await worker.start()
            await worker.linked(2)
            push = PhpClient(register, secret)
            clients = [await WebSocketClient.open(port_of(member)) for member in members]
            try:
                ids = [(await client.read_text()).removeprefix("hello ") for client in clients]
                for client in clients:
                    await client.send_text("join room")
                    assert await client.read_text() == "you are in room"
                await clients[0].send_text("hi")
                for client in clients:
                    assert await client.read_text() == f"{ids[0]}: hi"
                await clients[1].send_text("count")
                assert await clients[1].read_text() == "2"

                await restart()
                await push.bindUid(ids[0], "u1")
                await push.bindUid(ids[1], "u1")
                await until(lambda: _is_complete(kind, members))
                assert sorted(await push.getClientIdByUid("u1")) == sorted(ids)
                await push.sendToUid("u1", "to both")
                await push.sendToClient(ids[1], "to one")
                assert [await client.read_text() for client in clients] == ["to both"] * 2
                assert await clients[1].read_text() == "to one"

                assert await push.getSession(ids[0]) == {"said": ["join room", "hi"]}
                await push.updateSession(ids[0], {"from": "outside"})
                assert (await push.getSession(ids[0]))["from"] == "outside"  # before the worker reads and writes it
                await clients[0].send_text("again")
                for client in clients:
                    assert await client.read_text() == f"{ids[0]}: again"
                expected = {"said": ["join room", "hi", "again"], "from": "outside"}
                while await push.getSession(ids[0]) != expected:  # saved behind the message
                    await asyncio.sleep(0.005)
                await push.closeClient(ids[1])
                assert await clients[1].read_close() == (1000, "")
                await clients[1].send(close_frame())
                await until(lambda: ("onClose", ids[1], "") in worker.events)
                assert await push.isOnline(ids[1]) == 0
            finally:
                for client in clients:
                    client.sock.close()
            await until(lambda: ("onClose", ids[0], "") in worker.events)
            await worker.stop()
            assert worker.strange == []

    run(main())


def _is_complete(kind: str, members: list[Gateway]) -> bool:
    """Whether every gateway is announced again."""
    return all(
        member._presence is not None
        and member._presence.announcement is not None
        and member._presence.announcement.connected
        for member in members
    )


def test_phps_worker_goes_on_with_its_clients_after_its_link_was_cut(run: Runner) -> None:
    async def main() -> None:
        async with a_register("tidegate", "") as (register, _), gateways(register, "", 1) as [gateway]:
            worker = PhpWorker(register, chat)
            await worker.start()
            await worker.linked(1)
            with await WebSocketClient.open(port_of(gateway)) as client:
                hello = await client.read_text()
                await client.send_text("join room")
                await client.read_text()
                await worker.stop()
                again = PhpWorker(register, chat)  # under the same key
                await client.send_text("while nobody is there")
                await again.start()
                assert await client.read_text() == f"{hello.removeprefix('hello ')}: while nobody is there"
                await again.stop()

    run(main())

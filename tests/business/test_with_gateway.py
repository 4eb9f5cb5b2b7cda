"""Workers and a real gateway: sessions that several change, and clients that move from one worker to another."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.business.support import running
from tests.gateway.support import gateway
from tests.net.support import Runner, WebSocketClient, turns
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.client.asynchronous import AsyncGatewayClient


def counting(register: int, key: str, chance: random.Random) -> BusinessWorker:
    """A worker that counts a client's messages in the session, under a key of its own."""
    worker = BusinessWorker(name=key, cluster=f"127.0.0.1:{register}")

    @worker.on_message
    async def receive(client: Client, message: str) -> None:
        client.session[key] = client.session.get(key, 0) + 1
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.002)
        client.send(message)

    return worker


async def talk(port: int, count: int) -> tuple[WebSocketClient, list[str]]:
    """Send messages without waiting; gives them as they were answered."""
    client = await WebSocketClient.open(port)
    for number in range(count):
        await client.send_text(str(number))
    return client, [await client.read_text() for _ in range(count)]


def test_two_workers_and_a_push_client_lose_nothing_of_a_session(run: Runner) -> None:
    clients, each = 5, 200
    chance = random.Random(2)

    def route(workers: Any, client: Any, event: str) -> Any:
        return chance.choice(workers)

    async def main() -> None:
        async with (
            gateway(router=route) as place,
            running(counting(place.register, "a", chance)) as worker,
            running(counting(place.register, "b", chance)),
            AsyncGatewayClient(f"127.0.0.1:{place.register}") as push,
        ):
            talking = asyncio.gather(*(talk(place.port, each) for _ in range(clients)))
            updates = 0
            while not talking.done():
                updates += 1
                for client_id in await push.get_all_client_id_list():
                    await push.update_session(client_id, {"push": updates})
            for client_id in await push.get_all_client_id_list():
                await push.update_session(client_id, {"push": updates})
            await push.flush()
            talked = await talking
            sessions = await worker.get_all_client_sessions()
            assert len(sessions) == clients
            for session in sessions.values():
                assert session["a"] + session["b"] == each
                assert session["a"] > 10 < session["b"]
                assert session["push"] == updates
            for client, answers in talked:
                assert sorted(map(int, answers)) == list(range(each))
                client.sock.close()

    run(main())


@pytest.mark.parametrize("is_graceful", [True, False])
def test_clients_move_to_a_successor_with_their_session_in_order(run: Runner, is_graceful: bool) -> None:
    clients, each = 8, 300
    chance = random.Random(3)

    async def main() -> None:
        async with gateway() as place:
            first = counting(place.register, "n", chance)
            await first.listen()
            talking = asyncio.gather(*(talk(place.port, each) for _ in range(clients)))
            await turns(50)
            async with running(counting(place.register, "n", chance)) as second:
                await first.stop(graceful=is_graceful, seconds=5, reload=True)
                for client, answers in await talking:
                    assert answers == [str(number) for number in range(each)]
                    client.sock.close()
                sessions = await second.get_all_client_sessions()
                assert all(session == {"n": each} for session in sessions.values())

    run(main())


def test_on_close_is_called_once_by_the_worker_that_served(run: Runner) -> None:
    log: list[str] = []

    def create(register: int) -> BusinessWorker:
        worker = BusinessWorker(cluster=f"127.0.0.1:{register}")
        worker.on_connect = lambda client: log.append(f"connect {client.id}")
        worker.on_close = lambda client: log.append(f"close {client.id}")
        return worker

    async def main() -> None:
        async with gateway() as place, running(create(place.register)), running(create(place.register)):
            for _ in range(10):
                client = await WebSocketClient.open(place.port)
                await client.send_text("x")
                client.sock.close()
            async with asyncio.timeout(10):
                while len(log) < 20:
                    await asyncio.sleep(0.01)
            assert len(set(log)) == 20

    run(main())


def test_an_answer_that_is_longer_than_a_packet_comes_whole(run: Runner) -> None:
    async def main() -> None:
        limit = 4096
        async with gateway(max_packet_size=limit) as place:
            worker = BusinessWorker(cluster=f"127.0.0.1:{place.register}", max_packet_size=limit)
            async with running(worker):
                clients = [await WebSocketClient.open(place.port) for _ in range(20)]
                ids = await worker.get_all_client_id_list()
                for client_id in ids:
                    worker.set_session(client_id, {"long": client_id * 40})
                sessions = await worker.get_all_client_sessions()
                assert sessions == {client_id: {"long": client_id * 40} for client_id in ids}
                for client in clients:
                    client.sock.close()

    run(main())

"""What a flush waits for stands on the other servers of a NATS cluster too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.cluster.nats.server import NatsServer, nats_cluster
from tests.cluster.nats.support import Noting
from tests.net.support import until
from tests.whole.members import in_loop
from tidegate.client.nats.elsewhere import BlockingElsewhere, Elsewhere
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import parse_nats

ASKED = [("tidegate.gateway.g", b"marker")]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr("tidegate.client.nats.elsewhere.SECONDS", 20)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NatsServer]]:
    """Three that know of each other."""
    servers = list(nats_cluster(tmp_path_factory.mktemp("nats"), jetstream=False))
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


class Answering(Noting):
    """A gateway: it answers what it is asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked = 0
        self.subscribe(ASKED[0][0], self._answer)

    def _answer(self, message: Message) -> None:
        self.asked += 1
        assert message.reply is not None
        self.publish(message.reply, b"")


async def knows_all(client: Noting | BlockingNatsClient) -> None:
    await until(lambda: len(client.others) == 2)


def test_a_gateway_is_asked_once_through_each_other_server(servers: list[NatsServer]) -> None:
    async def test() -> None:
        first, second, _ = (server.url for server in servers)
        async with Answering(first) as gateway, Noting(second) as client:
            await knows_all(client)
            elsewhere = Elsewhere(parse_nats(second), "test")
            try:
                for times in range(1, 4):
                    await elsewhere.ask(client, ASKED)
                    assert gateway.asked == 2 * times
                assert len(elsewhere._clients) == 2
            finally:
                await elsewhere.stop()

    in_loop(test())


def test_a_blocking_client_asks_through_each_other_server_too(servers: list[NatsServer]) -> None:
    async def test() -> None:
        first, second, _ = (server.url for server in servers)
        async with Answering(first) as gateway:
            with BlockingNatsClient(parse_nats(second)) as client:
                await asyncio.to_thread(client.connect)
                await knows_all(client)
                elsewhere = BlockingElsewhere(parse_nats(second), "test")
                for times in range(1, 4):
                    await asyncio.to_thread(elsewhere.ask, client, ASKED)
                    assert gateway.asked == 2 * times
                elsewhere.close()

    in_loop(test())


@pytest.mark.parametrize("kind", ["async", "blocking"])
def test_a_server_by_another_name_and_one_that_is_away_are_left_out(servers: list[NatsServer], kind: str) -> None:
    async def test() -> None:
        server = servers[0]
        place = f"{server.url},nats://localhost:{server.port}"
        async with Answering(server.url) as gateway:
            await knows_all(gateway)
            if kind == "async":
                elsewhere = Elsewhere(parse_nats(place), "test")
                async with Noting(place) as client:
                    await elsewhere.ask(client, ASKED)
                    await elsewhere.stop()
            else:
                place += ",nats://127.0.0.1:1"
                with BlockingNatsClient(parse_nats(place)) as blocking:
                    blocking_elsewhere = BlockingElsewhere(parse_nats(place), "test")
                    await asyncio.to_thread(blocking.connect)
                    await asyncio.to_thread(blocking_elsewhere.ask, blocking, ASKED)
                    assert len(blocking_elsewhere._away) == 2
                    blocking_elsewhere.close()
            assert gateway.asked == 2

    in_loop(test())

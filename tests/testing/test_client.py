"""The WebSocket client of a cluster."""

from __future__ import annotations

import pytest

from tests.net.support import Runner
from tests.testing.support import make_room
from tidegate import BusinessWorker, Client, Gateway
from tidegate.protocols import Handshake
from tidegate.testing import ClientClosedError, NoMessageError, cluster


def test_it_comes_with_a_path_and_headers(run: Runner) -> None:
    async def main() -> None:
        business = BusinessWorker()

        @business.on_websocket_connect
        def came(client: Client, handshake: Handshake) -> None:
            client.send(f"{handshake.path} {handshake.query['room']} {handshake.cookies['session']}")

        async with cluster(business) as c:
            client = await c.connect("/chat?room=7", headers={"Cookie": "session=abc"})
            assert await client.receive() == "/chat 7 abc"

    run(main())


def test_it_offers_subprotocols(run: Runner) -> None:
    async def main() -> None:
        async with cluster(Gateway("websocket://0.0.0.0:7272", subprotocols=["v2.room"])) as c:
            assert (await c.connect(subprotocols=["v1.room", "v2.room"])).subprotocol == "v2.room"
            assert (await c.connect()).subprotocol is None

    run(main())


def test_it_goes_past_a_proxy_of_the_environment(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async def main() -> None:
        async with cluster(make_room()) as c, await c.connect() as client:
            assert await client.receive()

    run(main())


def test_json_is_sent_and_received_as_values(run: Runner) -> None:
    async def main() -> None:
        business = BusinessWorker()

        @business.on_message
        def echo(client: Client, message: str) -> None:
            client.send(message)

        async with cluster(business) as c, await c.connect() as client:
            await client.send_json({"type": "say", "text": "grüße"})
            assert await client.receive_json() == {"type": "say", "text": "grüße"}

    run(main())


def test_no_message_in_time_is_an_error_that_names_the_client(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c, await c.connect() as client:
            with pytest.raises(NoMessageError, match=rf"no message for {client.client_id} in 0\.01 s"):
                await client.receive(timeout=0.01)
            await c.push.send_to_all("late")
            assert await client.receive() == "late"

    run(main())


def test_a_message_that_breaks_the_silence_is_shown(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c, await c.connect() as client:
            await client.expect_silence(0.01)
            await c.push.send_to_all("hello")
            with pytest.raises(AssertionError, match="'hello' came"):
                await client.expect_silence(1)
            await c.push.send_to_all("x" * 1000)
            with pytest.raises(AssertionError, match="x… came"):
                await client.expect_silence(1)

    run(main())


def test_a_close_shows_its_code_and_reason_behind_the_last_message(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c:
            client = await c.connect()
            assert client.close_code is None
            await c.push.close_client(client.client_id, "bye")
            assert await client.wait_closed() == 1000
            assert await client.receive() == "bye"
            with pytest.raises(ClientClosedError, match="closed with 1000") as caught:
                await client.receive()
            assert caught.value.code == client.close_code == 1000
            assert client.close_reason == caught.value.reason
            with pytest.raises(ClientClosedError):
                await client.send("too late")
            with pytest.raises(ClientClosedError):
                await client.expect_silence()

    run(main())


def test_a_connection_that_breaks_off_is_closed_with_1006(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c:
            client = await c.connect()
            await c.push.destroy_client(client.client_id)
            assert await client.wait_closed() == 1006

    run(main())


def test_waiting_for_a_close_has_an_end(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c:
            client = await c.connect()
            with pytest.raises(NoMessageError, match="was not closed"):
                await client.wait_closed(timeout=0.01)

    run(main())


def test_a_client_leaves_with_its_block(run: Runner) -> None:
    async def main() -> None:
        room = make_room()
        async with cluster(room) as c:
            async with await c.connect() as client:
                assert await c.push.is_online(client.client_id)
            await c.settle()
            assert room.left == [client.client_id]

    run(main())


def test_a_thousand_messages_that_are_not_received_yet_wait(run: Runner) -> None:
    async def main() -> None:
        async with cluster() as c:
            client = await c.connect()
            for number in range(1000):
                await c.push.send_to_all(str(number))
            await c.settle()
            assert [await client.receive() for _ in range(1000)] == [str(number) for number in range(1000)]

    run(main())

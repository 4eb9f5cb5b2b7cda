"""What the original's gateway answered and delivered, and sent to its worker, this one does too."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import client_frame
from tests.gateway.support import Peer, Place, gateway
from tests.net.support import Client, Runner, WebSocketClient, close_frame
from tidegate.gateway.gateway import Gateway
from tidegate.wire import commands
from tidegate.wire.packet import HEADER, HEADER_SIZE, Packet

VECTORS = Path(__file__).parents[1] / "vectors"
TWICE = "to both"
"""What the original delivers twice to a client that is in two of the groups, and Tidegate once."""


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


@pytest.fixture(autouse=True)
def _ids_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def ids(self: Gateway) -> Iterator[int]:
        return itertools.count(1)

    monkeypatch.setattr(Gateway, "_connection_ids", ids)


@pytest.mark.parametrize(
    ("name", "secret"), [("gateway_client.json", ""), ("gateway_client_with_secret.json", "s3cret")]
)
def test_recorded_requests_get_the_recorded_answers(run: Runner, name: str, secret: str) -> None:
    async def main() -> None:
        async with gateway(secret_key=secret) as place:
            worker = await Peer.worker(place.inner, secret_key=secret) if not secret else None
            clients = {who: await WebSocketClient.open(place.port) for who in "ABC"}
            with contextlib.ExitStack() as stack:
                for client in clients.values():
                    stack.enter_context(client)
                for step in vector(name)["steps"]:
                    peer = stack.enter_context(await Peer.connect(place.inner))
                    await peer.send(bytes.fromhex(step["request"]))
                    if "reply" in step:
                        expected = bytes.fromhex(step["reply"])
                        assert await peer.read(len(expected)) == expected, step["call"]
                    for who, delivered in step["delivered"].items():
                        if step["args"][1:2] == [TWICE]:
                            delivered = delivered[:1]
                        for item in delivered:
                            await _expect(clients[who], item, step["call"])
                if worker is not None:
                    worker.sock.close()

    run(main())


async def _expect(client: WebSocketClient, item: Any, call: str) -> None:
    if isinstance(item, str):
        assert await client.read_text() == item, call
        return
    assert item == {"closed": 1006}
    if call == "closeClient":  # where the original says no goodbye
        assert await client.read_close() == (1000, "")
        await client.send(close_frame())
    assert await client.read_to_end() == b""


REQUEST = """GET /chat?token=abc&room=%E7%9B%B4 HTTP/1.1
Host: 127.0.0.1:7272
Origin: http://example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: FjtMU9mjZBluW5bB4cwWFQ==
Sec-WebSocket-Version: 13
Cookie: sid=1; lang=zh
X-Forwarded-For: 9.9.9.9
User-Agent: UA/1

""".replace("\n", "\r\n").encode()
"""The one that the recorder's client sent."""


def test_a_worker_gets_the_recorded_events(run: Runner) -> None:
    steps = vector("gateway_events.json")
    greeting, set_session = (bytes.fromhex(step["packet"]) for step in steps if step["sent_by"] == "worker")
    expected = [bytes.fromhex(step["packet"]) for step in steps if step["sent_by"] == "gateway"]

    async def main() -> None:
        async with gateway() as place:
            with await Peer.connect(place.inner) as worker, await Client.connect(place.port) as client:
                await worker.send(greeting)
                assert await worker.ask(commands.IS_ONLINE, 1) == b"i:0;"
                port = client.port
                await client.send(REQUEST)
                await client.read_until(b"\r\n\r\n")
                got = [await worker.packet(), await worker.packet()]
                await client.send(client_frame(0x81, b"login"))
                got.append(await worker.packet())
                await worker.send(set_session)
                assert await worker.ask(commands.IS_ONLINE, 1) == b"i:1;"
                await client.send(client_frame(0x81, b"after session set"))
                await client.send(client_frame(0x82, b"\x00\xff\x80"))
                await client.send(client_frame(0x81, b""))
                got += [await worker.packet() for _ in range(3)]
                client.sock.close()
                got.append(await worker.packet())
            assert [_recorded(packet, port, place) for packet in got] == expected

    run(main())


def _recorded(packet: Packet, client_port: int, place: Place) -> bytes:
    """A packet as it would be with the recorder's ports, which are in the handshake's fields too."""
    command, number, flags, ext, body, ip, port, client_ip, from_port, gateway_port = packet
    assert (port, from_port, gateway_port) == (place.inner, client_port, place.port)
    for ours, theirs in ((client_port, 41892), (place.port, 7272)):
        body = body.replace(b'_PORT";i:%d;' % ours, b'_PORT";i:%d;' % theirs)
    size = HEADER_SIZE + len(ext) + len(body)
    return HEADER.pack(size, command, ip, 2900, client_ip, 41892, number, flags, 7272, len(ext)) + ext + body

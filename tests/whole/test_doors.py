"""Clients of every protocol in one cluster, talking to each other."""

from __future__ import annotations

import asyncio

from tests.net.support import Client, WebSocketClient
from tests.ports import free_port
from tests.process.support import Place
from tests.whole.support import in_time

DOORS = """
from tidegate import App, BusinessWorker, Gateway, Register

CLUSTER = "127.0.0.1:{register}"
business = BusinessWorker(cluster=CLUSTER, count=2)
app = App(
    Register(CLUSTER),
    Gateway("websocket://127.0.0.1:0", name="web", start_port={web}, cluster=CLUSTER),
    Gateway("text://127.0.0.1:0", name="lines", start_port={lines}, cluster=CLUSTER),
    Gateway("tcp://127.0.0.1:0", name="telnet", start_port={telnet}, cluster=CLUSTER),
    Gateway("frame://127.0.0.1:0", name="frames", start_port={frames}, cluster=CLUSTER),
    business,
)

@business.on_connect
def greet(client):
    client.send(f"you are {{client.id}}\\n")

@business.on_message
def say(client, message):
    text = message.decode() if isinstance(message, bytes) else message
    business.send_to_all(f"{{client.id}}: {{text.strip()}}\\n")
"""


def frame(data: bytes) -> bytes:
    return (len(data) + 4).to_bytes(4) + data


async def read(client: Client, name: str) -> str:
    """The next message, as the protocol has it."""
    match name:
        case "web":
            assert isinstance(client, WebSocketClient)
            return (await client.read_text()).strip()
        case "frames":
            length = int.from_bytes(await client.read(4))
            return (await client.read(length - 4)).decode().strip()
        case "lines":
            line = await client.read_line()
            assert await client.read_line() == ""  # a line of its own after ours
            return line
    return await client.read_line()


async def say(client: Client, name: str, text: str) -> None:
    match name:
        case "web":
            assert isinstance(client, WebSocketClient)
            await client.send_text(text)
        case "frames":
            await client.send(frame(text.encode()))
        case "telnet":
            await client.send(text.encode() + b"\r\n")
        case _:
            await client.send(text.encode() + b"\n")


def test_browsers_terminals_and_devices_talk_to_each_other(place: Place) -> None:
    names = ("web", "lines", "telnet", "frames")
    place.write(DOORS.format(register=free_port(), **{name: free_port() for name in names}))
    place.start().ready()

    async def main() -> None:
        clients: dict[str, Client] = {}
        for name in names:
            port = await asyncio.to_thread(place.port, role=name)
            clients[name] = await (WebSocketClient.open(port) if name == "web" else Client.connect(port))
        try:
            ids = {name: (await read(client, name)).removeprefix("you are ") for name, client in clients.items()}
            for speaker in names:
                await say(clients[speaker], speaker, f"hello from {speaker}, 世界")
                for name, client in clients.items():
                    assert await read(client, name) == f"{ids[speaker]}: hello from {speaker}, 世界"
        finally:
            for client in clients.values():
                client.sock.close()

    in_time(main())

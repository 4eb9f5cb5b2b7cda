"""The apps under test, written as a user would: `tidegate start benchmarks/apps.py:echo`. The environment has ports.

Clients say what they want by the first word of a message: `hello` and `echo` come back, `say` goes to the room, and for
`burst` the room gets 40 messages, each by a push of its own.
"""

import asyncio
import itertools
import os
from typing import Any

from tidegate import App, BusinessWorker, Client, Connection, Gateway, Register, Worker

CLUSTER = os.environ.get("BENCHMARK_CLUSTER", "127.0.0.1:1236")
INNER = int(os.environ.get("BENCHMARK_INNER", "2900"))
GATEWAYS = int(os.environ.get("BENCHMARK_GATEWAYS", "1"))
BURST = [f"say {number:02} ".ljust(128, ".") for number in range(40)]
TARGETS = 100
"""Clients and uids that `growth` pushes to, in turn, and a tenth as many groups."""


def make_app(compression: bool = False) -> tuple[App, BusinessWorker]:
    """A cluster with one worker."""
    business = BusinessWorker(cluster=CLUSTER)
    gateway = Gateway(
        "websocket://127.0.0.1:0", count=GATEWAYS, cluster=CLUSTER, start_port=INNER, compression=compression
    )
    return App(Register(CLUSTER, settle_seconds=0), gateway, business), business


echo, sync_echo = make_app()
compressed, compressed_echo = make_app(compression=True)
echo_async, async_echo = make_app()
echo_session, session_echo = make_app()
echo_async_session, async_session_echo = make_app()
greeting, greeter = make_app()
room, in_room = make_app()
known, known_clients = make_app()
pushing, pusher = make_app()

alone = Worker("websocket://127.0.0.1:0", name="alone")
lone = App(alone)


@alone.on_message
def answer(connection: Connection, message: str) -> None:
    connection.send(message)


@sync_echo.on_message
@compressed_echo.on_message
@greeter.on_message
def send_back(client: Client, message: str) -> None:
    client.send(message)


@async_echo.on_message
async def send_back_async(client: Client, message: str) -> None:
    client.send(message)


@session_echo.on_message
def count_and_send_back(client: Client, message: str) -> None:
    client.session["messages"] = client.session.get("messages", 0) + 1
    client.send(message)


@async_session_echo.on_message
async def count_and_send_back_async(client: Client, message: str) -> None:
    client.session["messages"] = client.session.get("messages", 0) + 1
    client.send(message)


@greeter.on_websocket_connect
def greet(client: Client, handshake: Any) -> None:
    client.send(f"welcome to {handshake.path}")


@in_room.on_websocket_connect
def enter(client: Client, handshake: Any) -> None:
    if handshake.path == "/room":
        client.join_group("room")


@in_room.on_message
def say(client: Client, message: str) -> None:
    if message.startswith("say"):
        in_room.send_to_group("room", message)
    elif message.startswith("burst"):
        for line in BURST:
            in_room.send_to_group("room", line)
    else:
        client.send(message)


@known_clients.on_message
def make_known(client: Client, message: str) -> None:
    number = int(message.split()[1])
    client.bind_uid(f"user-{number}")
    for group in ("everybody", f"room-{number % 100}", f"language-{number % 7}"):
        client.join_group(group)
    client.session = {"name": "Bob Miller", "room": number % 100, "is_guest": False}
    client.send(message)


client_ids: dict[int, str] = {}


@pusher.on_message
async def push(client: Client, message: str) -> None:
    """Make oneself known, `hello NUMBER`, or have messages pushed: `push client|uid|group COUNT CLIENTS TURN`, or
    `tell` with the same, which does not say when they are processed.

    Every client has a uid and a group of its own, and ten have one together. The targets are as far apart as they can
    be, and each gets the same. TURN messages are pushed in one turn of the loop.
    """
    match message.split():
        case ["hello", word, *_]:
            number = int(word)
            client_ids[number] = client.id
            client.bind_uid(f"user-{number}")
            client.join_group(f"own-{number}")
            client.join_group(f"ten-{number // 10}")
            client.send(message)
        case ["push" | "tell" as word, kind, count, clients, turn]:
            await push_many(kind, int(count), int(clients), int(turn))
            if word == "push":
                await pusher.flush()
                client.send("done")


async def push_many(kind: str, count: int, clients: int, turn: int) -> None:
    numbers = range(0, clients, max(clients // (TARGETS // 10 if kind == "group" else TARGETS), 1))
    send, targets = {
        "client": (pusher.send_to_client, [client_ids[number] for number in numbers]),
        "uid": (pusher.send_to_uid, [f"user-{number}" for number in numbers]),
        "group": (pusher.send_to_group, [f"ten-{number // 10}" for number in numbers]),
    }[kind]
    each = ((message, target) for message in itertools.cycle(BURST) for target in targets)
    for pushed, (message, target) in enumerate(each):
        if pushed == count:
            return
        send(target, message)
        if pushed % turn == turn - 1:
            await asyncio.sleep(0)

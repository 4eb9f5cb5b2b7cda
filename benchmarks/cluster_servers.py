"""The clusters under test, written as a user would; their ports are given by the environment.

`echo` and `echo_async` send each message back, `echo_session` remembers it as well; `room` sends each to all;
`known` gives a client a uid, three groups and a small session at its message, and sends that back.
"""

import os

from tidegate import App, BusinessWorker, Client, Gateway, Register

CLUSTER = f"127.0.0.1:{os.environ.get('BENCHMARK_REGISTER', '1236')}"
INNER = int(os.environ.get("BENCHMARK_INNER", "2900"))


def make_app() -> tuple[App, BusinessWorker]:
    """One process of each."""
    business = BusinessWorker(cluster=CLUSTER)
    gateway = Gateway("websocket://127.0.0.1:0", cluster=CLUSTER, start_port=INNER)
    return App(Register(CLUSTER), gateway, business), business


echo, sync_echo = make_app()
echo_async, async_echo = make_app()
echo_session, session_echo = make_app()
room, everybody = make_app()
known, known_clients = make_app()


@sync_echo.on_message
def send_back(client: Client, message: str) -> None:
    client.send(message)


@async_echo.on_message
async def send_back_async(client: Client, message: str) -> None:
    client.send(message)


@session_echo.on_message
def count_and_send_back(client: Client, message: str) -> None:
    client.session["messages"] = client.session.get("messages", 0) + 1
    client.send(message)


@everybody.on_message
def say(_: Client, message: str) -> None:
    everybody.send_to_all(message)


@known_clients.on_message
def make_known(client: Client, message: str) -> None:
    number = int(client.id[12:], 16)
    client.bind_uid(f"user-{number}")
    for group in ("everybody", f"room-{number % 100}", f"language-{number % 7}"):
        client.join_group(group)
    client.session = {"name": "Bob Miller", "room": number % 100, "is_guest": False}
    client.send(message)

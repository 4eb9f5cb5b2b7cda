"""The demo's cluster: who runs, and which of the two chats a client has come to."""

from __future__ import annotations

from tidegate.app import App
from tidegate.business.client import Client
from tidegate.business.worker import BusinessWorker
from tidegate.demo.door import Door
from tidegate.demo.page import chat_page
from tidegate.demo.room import Rooms
from tidegate.errors import ConfigurationError
from tidegate.gateway.gateway import Gateway
from tidegate.net.address import parse_address
from tidegate.register.register import Register
from tidegate.worker import Worker

__all__ = ["demo"]

MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes of a browser's message; the longest text that is said, with every character escaped, is well under it."""


def demo(
    page: str = "http://127.0.0.1:8000",
    listen: str = "websocket://127.0.0.1:7272",
    tcp: str = "tcp://127.0.0.1:8282",
    register: str = "127.0.0.1:1236",
    start_port: int = 2900,
    count: int = 1,
) -> App:
    """Make the app; `tidegate demo` says what the arguments mean.

    Raises:
        ConfigurationError: for an address that can't be meant.
    """
    listen_address, tcp_address = parse_address(listen), parse_address(tcp)
    if listen_address.scheme != "websocket" or not listen_address.port:
        raise ConfigurationError(f"--listen takes a websocket:// address with a port, not {listen}")
    if tcp_address.scheme != "tcp" or not tcp_address.port:
        raise ConfigurationError(f"--tcp takes a tcp:// address with a port, not {tcp}")
    business = BusinessWorker(name="chat", count=count, cluster=register)
    rooms, door = Rooms(business), Door(business)

    def came_by_telnet(client: Client) -> bool:
        return client.gateway_port == tcp_address.port

    @business.on_connect
    def greet(client: Client) -> None:
        if came_by_telnet(client):
            door.greet(client)

    @business.on_message
    async def receive(client: Client, message: str | bytes) -> None:
        if came_by_telnet(client):
            door.receive(client, message)
        else:
            await rooms.receive(client, message)

    @business.on_close
    def leave(client: Client) -> None:
        (door if came_by_telnet(client) else rooms).leave(client)

    return App(
        Register(register),
        Gateway(
            listen,
            name="browsers",
            count=count,
            cluster=register,
            start_port=start_port,
            max_message_size=MAX_MESSAGE_SIZE,
        ),
        Gateway(tcp, name="telnet", count=count, cluster=register, start_port=start_port + count, encoding="utf-8"),
        business,
        Worker(page, name="page", app=chat_page(listen_address, tcp_address)),
    )

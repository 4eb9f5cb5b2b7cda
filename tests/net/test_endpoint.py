"""What an endpoint makes of the connections that it is given."""

from __future__ import annotations

import itertools
import socket

from tests.net.support import Client, Runner, until
from tidegate import Connection
from tidegate.net.address import parse_address
from tidegate.net.endpoint import Callbacks, Endpoint, Limits
from tidegate.net.listener import Listener
from tidegate.net.sockets import bind, local_address
from tidegate.protocols import Text


class Guest(Connection):
    """A connection with something of its own."""

    __slots__ = ("room",)

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        super().__init__(endpoint, sock)
        self.room = "hall"


def test_connections_are_of_the_endpoints_class_and_numbered_as_it_says(run: Runner) -> None:
    async def main() -> None:
        callbacks = Callbacks(on_message=lambda guest, line: guest.send(f"{guest.id} {guest.room} {line}"))
        endpoint = Endpoint("hotel", Text, callbacks, Limits(), connection_class=Guest, ids=itertools.count(700))
        address = parse_address("text://127.0.0.1:0")
        sockets = bind(address, False)
        listener = Listener(endpoint, sockets, None)
        port = local_address(address, sockets[0]).port
        for number in (700, 701):
            with await Client.connect(port) as client:
                await client.send(b"hello\n")
                assert await client.read_line() == f"{number} hall hello"
        await until(lambda: not endpoint.connections)
        listener.close()
        endpoint.release()

    run(main())


def test_endpoints_of_one_loop_share_a_counter_unless_they_have_their_own(run: Runner) -> None:
    async def main() -> None:
        endpoints = [Endpoint(name, Text, Callbacks(), Limits()) for name in "ab"]
        assert [Connection(endpoint, None).id for endpoint in endpoints] == [1, 2]
        for endpoint in endpoints:
            endpoint.release()

    run(main())

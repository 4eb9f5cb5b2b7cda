"""Stopping: at once, or with the work under way brought to its end."""

from __future__ import annotations

import socket

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.process.support import Place, is_alive

SLOW = """
import asyncio
from tidegate import App, Worker

worker = Worker("websocket://127.0.0.1:0")
app = App(worker)

@worker.on_message
async def answer(connection, message):
    connection.send("under way")
    await asyncio.sleep(float(message))
    connection.send("done")
"""


def how_it_closes(client: ClientConnection) -> tuple[list[object], int | None]:
    """What still comes, and the close code."""
    messages: list[object] = []
    while True:
        try:
            messages.append(client.recv(20))
        except ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize(
    ("graceful", "takes", "messages"),
    [(False, "60", []), (True, "0.5", ["done"])],
    ids=["at once", "with work in progress finished"],
)
def test_clients_are_told_that_the_server_goes_away(
    place: Place, graceful: bool, takes: str, messages: list[str]
) -> None:
    place.write(SLOW)
    app = place.start().ready()
    pids = place.pids()
    with connect(f"ws://127.0.0.1:{place.port()}") as client:
        client.send(takes)
        assert client.recv(20) == "under way"
        place.command("stop", graceful=graceful)
        assert how_it_closes(client) == (messages, 1001)
    assert app.ends() == 0
    assert not any(map(is_alive, pids))
    assert "Traceback" not in app.err.read_text()


def test_nothing_comes_of_a_restart_once_the_app_is_to_stop(place: Place) -> None:
    place.write(SLOW)
    app = place.start().ready()
    with connect(f"ws://127.0.0.1:{place.port()}") as client:
        client.send("60")
        assert client.recv(20) == "under way"
        assert place.command("restart", graceful=True)["pid"] == app.pid
        assert place.command("stop")["pid"] == app.pid
    assert app.ends() == 0


def test_an_app_that_is_being_stopped_takes_no_other_orders(place: Place) -> None:
    place.write(SLOW)
    app = place.start().ready()
    with connect(f"ws://127.0.0.1:{place.port()}") as client:
        client.send("60")
        assert client.recv(20) == "under way"
        place.command("stop", graceful=True)
        for order in ("reload", "restart"):
            assert place.refused(order) == "it is being stopped"
        place.command("stop", graceful=True)  # asked for the same again, it goes on
        assert client.ping().wait(10)
        app.press_ctrl_c()
    assert app.ends() == 0


def test_orders_that_can_not_be_read_are_refused(place: Place) -> None:
    place.write(SLOW)
    place.start().ready()
    assert place.refused("dance") == "there is no command 'dance'"
    assert place.refused("connections", limit="many").startswith("the request can't be read: ValueError")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(place.run_folder / f"{place.key()}.sock"))
        sock.sendall(b"[" * 50_000 + b"\n")
        assert b"the request can't be read: RecursionError" in sock.makefile("rb").readline()

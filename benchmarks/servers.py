"""The apps under test, written as a user would: `tidegate start benchmarks/servers.py:plain`.

Each has one WebSocket worker, and beside it a port for orders: a line of words in, a line of JSON out.

    cpu                     seconds of CPU time that the process has had
    members                 how many are connected
    burst COUNT ORDER       send each member COUNT messages in one turn of the loop: see `burst`
"""

import asyncio
import json
import time
from typing import Any

from tidegate import App, Connection, Worker

MESSAGE_SIZE = 128


def echo(connection: Connection, message: str) -> None:
    connection.send(message)


async def echo_async(connection: Connection, message: str) -> None:
    connection.send(message)


async def burst(room: Worker, count: int, order: str) -> dict[str, Any]:
    """Send every member so many messages in one turn, and wait until the kernel has all of it.

    Args:
        room: the worker whose connections are the members.
        count: messages for each.
        order: "messages" for one message after the other, each to all members; "members" for all messages to the
            first member, then to the next; "broadcasts" for one `broadcast` after the other.

    Returns:
        The CPU time from the first send until all was handed to the kernel, how much of it the calls of `send` took,
        and the number of messages sent.
    """
    messages = [f"message {number} ".ljust(MESSAGE_SIZE, ".") for number in range(count)]
    sent = 0
    start = time.process_time()
    if order == "messages":
        for message in messages:
            for connection in room.connections.values():
                sent += connection.send(message)
    elif order == "broadcasts":
        for message in messages:
            sent += room.broadcast(message)
    else:
        for connection in room.connections.values():
            for message in messages:
                sent += connection.send(message)
    sending = time.process_time() - start
    while True:
        await asyncio.sleep(0)  # the outboxes are written at the end of the turn
        cpu = time.process_time() - start
        if not any(connection.queued_bytes for connection in room.connections.values()):
            return {"cpu": cpu, "sending": sending, "frames": sent}


def make_app(name: str, on_message: Any, compression: bool = False) -> App:
    """An app of one worker, with a port for orders."""
    room = Worker("websocket://127.0.0.1:0", name=name, compression=compression)
    room.on_message = on_message

    async def obey(backend: Connection, line: str) -> None:
        match line.split():
            case ["cpu"]:
                result: Any = time.process_time()
            case ["members"]:
                result = len(room.connections)
            case ["burst", count, ("messages" | "members" | "broadcasts") as order]:
                result = await burst(room, int(count), order)
            case _:
                backend.send(json.dumps({"error": f"no such order: {line}"}))
                return
        backend.send(json.dumps({"result": result}))

    @room.on_worker_start
    async def open_orders(_: Worker) -> None:
        orders = Worker("text://127.0.0.1:0", name=f"{name}-orders")
        orders.on_message = obey
        await orders.listen()

    return App(room)


plain = make_app("plain", echo)
compressed = make_app("compressed", echo, compression=True)
awaiting = make_app("awaiting", echo_async)

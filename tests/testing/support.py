"""A program's worker, such as tests are written for."""

from __future__ import annotations

from typing import Any

from tidegate import BusinessWorker, Client


def make_room(**settings: Any) -> BusinessWorker:
    """A room: who comes is told its id, what one says all hear, and who goes is remembered in ``left``."""
    room = BusinessWorker(**settings)

    @room.on_worker_start
    def start(worker: BusinessWorker) -> None:
        worker.left = []

    @room.on_connect
    def greet(client: Client) -> None:
        client.join_group("room")
        client.send(f"you are {client.id}")

    @room.on_message
    async def say(client: Client, message: str | bytes) -> None:
        count = await room.get_client_count_by_group("room")
        if message == "boom":
            raise ZeroDivisionError(f"of {count}")
        await room.send_to_group("room", message, exclude=client.id)

    @room.on_close
    def leave(client: Client) -> None:
        room.left.append(client.id)

    return room

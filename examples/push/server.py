"""The push server of the tutorial, written out: `python server.py start`, then open page.html and run push.py."""

import json
from typing import Any

from tidegate import App, Connection, Worker, every

HEARTBEAT = 80  # seconds of silence after which a client is taken to be gone

worker = Worker("websocket://0.0.0.0:1234", name="push")
users: dict[str, set[Connection]] = {}  # a user may have several pages open


@worker.on_worker_start
async def open_inner_port(_: Worker) -> None:
    inner = Worker("text://127.0.0.1:5678", name="inner")  # for backends on this machine only
    inner.on_message = push
    await inner.listen()
    every(1, close_silent)


@worker.on_message
def receive(connection: Connection, message: str) -> None:
    if not hasattr(connection, "uid"):  # the first message says who it is; a real site would check a token
        connection.uid = message
        users.setdefault(message, set()).add(connection)


@worker.on_close
def leave(connection: Connection) -> None:
    if hasattr(connection, "uid"):
        users[connection.uid].discard(connection)
        if not users[connection.uid]:
            del users[connection.uid]


def push(backend: Connection, line: str) -> None:
    try:
        data: dict[str, Any] = json.loads(line)
        reached = [connection.send(line) for connection in users.get(data["uid"], ())]
    except (ValueError, KeyError, TypeError):
        reached = []
    backend.send("ok" if any(reached) else "fail")


def close_silent() -> None:
    for connection in list(worker.connections.values()):
        if connection.idle_seconds > HEARTBEAT:
            connection.close()


app = App(worker)

if __name__ == "__main__":
    app.run()

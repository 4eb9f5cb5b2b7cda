"""python-socketio under uvicorn on uvloop, over WebSocket alone."""

import socket
from typing import Any
from urllib.parse import parse_qs

import socketio  # type: ignore[import-not-found]
import uvicorn

BURST = [f"say {number:02} ".ljust(128, ".") for number in range(40)]
io = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], ping_interval=3600)


@io.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any]) -> None:
    if "room" in parse_qs(environ["QUERY_STRING"]):
        await io.enter_room(sid, "room")


@io.on("m")  # type: ignore[untyped-decorator]
async def say(sid: str, message: str) -> None:
    if message.startswith("say"):
        await io.emit("m", message, room="room")
    elif message.startswith("burst"):
        for line in BURST:
            await io.emit("m", line, room="room")
    else:
        await io.emit("m", message, to=sid)


listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(listening.getsockname()[1], flush=True)
config = uvicorn.Config(
    socketio.ASGIApp(io), loop="uvloop", log_level="error", ws_per_message_deflate=False, ws_ping_interval=None
)
uvicorn.Server(config).run([listening])

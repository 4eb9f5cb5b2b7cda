"""`websockets` on uvloop, with its broadcast()."""

from typing import Any

import uvloop
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

BURST = [f"say {number:02} ".ljust(128, ".") for number in range(40)]
room: set[Any] = set()


async def handle(connection: Any) -> None:
    if connection.request.path == "/room":
        room.add(connection)
    try:
        async for message in connection:
            if message.startswith("say"):
                broadcast(room, message)
            elif message.startswith("burst"):
                for line in BURST:
                    broadcast(room, line)
            else:
                await connection.send(message)
    except ConnectionClosed:
        pass
    finally:
        room.discard(connection)


async def main() -> None:
    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


uvloop.run(main())

"""picows on uvloop; it has no rooms of its own."""

from typing import Any

import uvloop
from picows import (  # type: ignore[import-not-found]
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_create_server,
)

BURST = [f"say {number:02} ".ljust(128, ".").encode() for number in range(40)]
room: set[WSTransport] = set()


class Member(WSListener):  # type: ignore[misc]
    def __init__(self, request: Any) -> None:
        super().__init__()
        self.enters = bytes(request.path) == b"/room"

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self.enters:
            room.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        room.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        message = frame.get_payload_as_bytes()
        if message.startswith(b"say"):
            tell(message)
        elif message.startswith(b"burst"):
            for line in BURST:
                tell(line)
        else:
            transport.send(WSMsgType.TEXT, message)


def tell(message: bytes) -> None:
    for member in room:
        member.send(WSMsgType.TEXT, message)


async def main() -> None:
    server = await ws_create_server(Member, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


uvloop.run(main())

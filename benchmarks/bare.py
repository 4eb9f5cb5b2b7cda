"""The references where there is no C compiler: `python -m benchmarks.bare echo [discard|BYTES]` or `… send`.

`echo` is a uvloop server with an `asyncio.BufferedProtocol` that reads into one buffer and writes back what it gets.
`send` is a loop of `socket.send` over accepted sockets: `reference/send.c` says what it gets. Both print their port.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from typing import cast

import uvloop

from benchmarks.wire import REPLY_SIZE

__all__: list[str] = []

BACKLOG = 4096
BUFFER = memoryview(bytearray(256 * 1024))
HEAD = 4
DIGITS = slice(4 + 4, 4 + 6)  # behind a frame's own head and "say "


def listening_socket() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    print(sock.getsockname()[1], flush=True)
    return sock


class Echo(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = ("_transport",)

    discards = False
    piece = len(BUFFER)  # bytes that have a write of their own: all of a read, or a message

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if not self.discards:
            piece = nbytes if nbytes % self.piece else self.piece  # the request that opens a connection is no message
            for start in range(0, nbytes, piece):
                self._transport.write(bytes(BUFFER[start : start + piece]))


async def run_echo() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, sock=listening_socket(), backlog=BACKLOG)
    await server.serve_forever()


class Sender:
    """Sends what a member asks for to all."""

    def __init__(self) -> None:
        self._listening = listening_socket()
        self._listening.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listening, select.EPOLLIN)
        self._members: dict[int, socket.socket] = {}
        self._received: dict[int, bytes] = {}

    def run(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._listening.fileno():
                    self._accept()
                else:
                    self._read(fd)

    def _accept(self) -> None:
        sock, _ = self._listening.accept()
        sock.setblocking(False)
        self._members[sock.fileno()] = sock
        self._epoll.register(sock, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        data = self._received.pop(fd, b"")
        try:
            got = self._members[fd].recv(HEAD + REPLY_SIZE - len(data))
        except ConnectionError:
            got = b""
        if not got:
            self._members.pop(fd).close()
            return
        data += got
        if len(data) < HEAD + REPLY_SIZE:
            self._received[fd] = data
            return
        frame = bytearray(data[HEAD:])
        for number in range(data[0]):
            if data[0] > 1:
                frame[DIGITS] = b"%02d" % number
            for member in self._members.values():
                if member.send(frame) != REPLY_SIZE:
                    raise RuntimeError("a member does not read")


def main() -> None:
    match sys.argv[1:]:
        case ["echo", *rest]:
            Echo.discards = rest == ["discard"]
            Echo.piece = int(rest[0]) if rest and rest[0].isdigit() else Echo.piece
            uvloop.run(run_echo())
        case ["send"]:
            Sender().run()
        case _:
            sys.exit("usage: python -m benchmarks.bare echo [discard|BYTES]|send")


if __name__ == "__main__":
    main()

"""The references: what the same work costs without any feature. `python -m benchmarks.bare echo` or `… send`.

`echo` is a uvloop server with an `asyncio.BufferedProtocol` that reads into one buffer and writes back what it gets.
`send` is a loop of `socket.send` over accepted sockets, all of whose cost is the kernel's but for the loop itself.
Both print the port that they listen on, and then take orders on standard input: see `main` and `Sender`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from typing import cast

import uvloop

from benchmarks.orders import answer, serve

__all__: list[str] = []

BACKLOG = 4096
ACCEPT_SECONDS = 30
BUFFER = memoryview(bytearray(256 * 1024))


def listening_socket() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    return sock


def memory() -> int:
    """Bytes of memory that the process has, counted as `tidegate status` does."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Echo(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = ("_transport",)

    members = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        Echo.members += 1

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self._transport.write(bytes(BUFFER[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        Echo.members -= 1


async def run_echo() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    sock = listening_socket()
    await loop.create_server(Echo, sock=sock, backlog=BACKLOG)
    handlers = {"cpu": time.process_time, "memory": memory, "members": lambda: Echo.members}

    def obey() -> None:
        line = sys.stdin.readline()
        if line:
            print(answer(line, handlers), flush=True)
        else:
            ended.set()

    loop.add_reader(sys.stdin.fileno(), obey)
    print(sock.getsockname()[1], flush=True)
    await ended.wait()


class Sender:
    """Accepts connections, and sends to each on order."""

    def __init__(self) -> None:
        self._listening = listening_socket()
        self._listening.settimeout(ACCEPT_SECONDS)
        self._members: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]

    def accept(self, count: int) -> int:
        """Take so many connections."""
        for _ in range(count):
            sock, _ = self._listening.accept()
            sock.setblocking(False)
            self._members.append(sock)
        return len(self._members)

    def send(self, size: int, times: int) -> float:
        """Send so many bytes to each member, so many times over; gives the CPU time."""
        data = b"." * size
        sent = 0
        start = time.process_time()
        for _ in range(times):
            for member in self._members:
                sent += member.send(data)
        cpu = time.process_time() - start
        if sent != size * times * len(self._members):
            raise RuntimeError("the peers do not read")
        return cpu


def main() -> None:
    if sys.argv[1:] == ["echo"]:
        uvloop.run(run_echo())
    elif sys.argv[1:] == ["send"]:
        sender = Sender()
        print(sender.port, flush=True)
        serve({"accept": sender.accept, "send": sender.send})
    else:
        sys.exit("usage: python -m benchmarks.bare echo|send")


if __name__ == "__main__":
    main()

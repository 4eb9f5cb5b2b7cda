"""Clients by the thousand in one process: `python -m benchmarks.load`, with orders on standard input.

Made of raw sockets and epoll, so that the load costs less than what it loads. Every byte that arrives is compared with
what has to come, and an order fails where one is wrong, missing or too late. Where there is a C compiler,
`reference/load.c` does the same at a fraction of the cost. Groups have names; the orders are:

    connect GROUP KIND PORT COUNT PATH              open connections; the kinds are below
    exchange GROUP                                  send a message with its number from each, and see it come back
    fanout GROUP TIMES FRAMES                       the first says something, and again when all have got all frames
    receive GROUP FRAMES SECONDS STRIDE WIDTH       of every STRIDE members the first WIDTH get so many frames
    echo GROUP IN_FLIGHT MILLISECONDS               keep so many messages under way for each that are to come back
    speak GROUP RATE MILLISECONDS BYSTANDERS        the first says so many a second, and all hear it; another group (or
                                                    `-`) echoes meanwhile
    close GROUP                                     close its connections

| kind | |
|---|---|
| echoed | a server that sends all bytes back, the request to open a WebSocket among them |
| raw | the bare loop of `send`, without a handshake: see `wire.pair` |
| websocket, deflate | a WebSocket, and one that compresses |
| greeted | a WebSocket that is open when the server has said something |
| socketio | Socket.IO over a WebSocket, with the event "m" |
"""

from __future__ import annotations

import gc
import select
import socket
import struct
import time
from itertools import islice

from benchmarks.listening import echo, fanout, receive, speak
from benchmarks.orders import serve
from benchmarks.wire import CYCLE, KINDS, client_frame, inflated, message, pair, upgrade_request

__all__ = ["Client", "Group", "Load"]

TIMEOUT_SECONDS = 20
WAVE = 200
"""Connections that are opened at a time, far fewer than a listening socket's queue holds."""
PER_ADDRESS = 5000
"""Connections from one source address, whose ports there are 28,000 of unless the system is told otherwise."""
IP_BIND_ADDRESS_NO_PORT = 24  # of Linux: the port is chosen when the peer is known, so that each address has them all
PING, PONG = bytes((0x89, 0)), client_frame(b"", 0x8A)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing leaves no socket behind that waits a minute


class Client:
    """A connection.

    Attributes:
        sent: messages, in the order under way.
        got: bytes, in the order under way.
    """

    __slots__ = ("got", "index", "received", "sent", "sock")

    def __init__(self, index: int, sock: socket.socket) -> None:
        self.index, self.sock = index, sock
        self.sent = self.got = 0
        self.received = b""


class Group:
    """Connections to one server."""

    def __init__(self, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"no such kind: {kind}")
        self.kind = kind
        self.clients: list[Client] = []
        self.by_fd: dict[int, Client] = {}
        self.epoll = select.epoll()
        self._buffer = bytearray(256 * 1024)
        self._view = memoryview(self._buffer)

    def begin(self, word: str) -> None:
        """Say what all are to get from now on."""
        pairs = [pair(self.kind, message(word, number)) for number in range(CYCLE)] * 2
        self.request_size, self.reply_size = len(pairs[0][0]), len(pairs[0][1])
        self._requests = b"".join(request for request, _ in pairs)
        self._cycle = self.reply_size * CYCLE
        cycles = len(self._buffer) // self._cycle + 2  # as much as can be read at a time, from any place
        self._replies = b"".join(reply for _, reply in pairs[:CYCLE]) * cycles
        for client in self.clients:
            client.sent = client.got = 0

    def ask_for(self, client: Client, count: int) -> None:
        """Send the next messages of a client."""
        start = client.sent % CYCLE * self.request_size
        client.sent += count
        data = self._requests[start : start + count * self.request_size]
        if client.sock.send(data) != len(data):  # the buffers of a socket hold far more than is ever under way
            raise RuntimeError("a server does not read")

    def poll(self, seconds: float, most: int = 256) -> list[Client]:
        """Those for whom something came."""
        return [self.by_fd[fd] for fd, _ in self.epoll.poll(seconds, most)]

    def take(self, client: Client) -> None:
        """Read, and compare each byte with what has to come."""
        got = client.sock.recv_into(self._buffer)
        if not got:
            raise RuntimeError("a client was cut off")
        came = self._view[:got]
        # A prefix is found where the bytes are equal, without a copy.
        if not client.received and self._replies.startswith(came, client.got % self._cycle):
            client.got += got
        else:
            self._take_with_pings(client, client.received + bytes(came))

    def _take_with_pings(self, client: Client, came: bytes) -> None:
        """The same where a ping is among it, which every browser answers by itself."""
        client.received = b""
        while came:
            left = self.reply_size - client.got % self.reply_size
            if left == self.reply_size and came[0] == PING[0]:
                if len(came) < len(PING):
                    client.received = came
                    return
                if came.startswith(PING):
                    client.sock.send(PONG)
                    came = came[len(PING) :]
                    continue
            part = came[:left]
            if not self._replies.startswith(part, client.got % self._cycle):
                raise RuntimeError(f"client {client.index} got other bytes than it should: {part!r}")
            client.got += len(part)
            came = came[left:]

    def end(self) -> None:
        """See that nothing more came."""
        for client in self.poll(0):
            before = client.got
            self.take(client)
            if client.got != before:
                raise RuntimeError("a member got too much")


class Load:
    """All groups."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._opened = 0

    def connect(self, name: str, kind: str, port: int, count: int, path: str) -> dict[str, float]:
        """Open connections."""
        group = self._groups[name] = Group(kind)
        start = time.monotonic()
        for index in range(0, count, WAVE):
            wave = [Client(index + number, self._open(port)) for number in range(min(WAVE, count - index))]
            if kind != "raw":
                shake_hands(wave, kind, path)
            for client in wave:
                client.sock.setblocking(False)
                group.by_fd[client.sock.fileno()] = client
                group.epoll.register(client.sock.fileno(), select.EPOLLIN)
            group.clients += wave
        return {"seconds": time.monotonic() - start}

    def _open(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.settimeout(TIMEOUT_SECONDS)
        sock.bind((f"127.0.0.{2 + self._opened // PER_ADDRESS % 200}", 0))
        sock.connect(("127.0.0.1", port))
        self._opened += 1
        return sock

    def exchange(self, name: str) -> int:
        """Send a message with its number from each, and see it come back."""
        group = self._groups[name]
        every = iter(group.clients)
        while wave := list(islice(every, WAVE)):
            pairs = [pair(group.kind, message("hello", client.index)) for client in wave]
            for client, (request, _) in zip(wave, pairs, strict=True):
                client.sock.settimeout(TIMEOUT_SECONDS)
                client.sock.sendall(request)
            for client, (_, reply) in zip(wave, pairs, strict=True):
                got = inflate(client) if group.kind == "deflate" else read(client, len(reply))
                if got != reply:
                    raise RuntimeError(f"not what was sent came back: {got!r}")
                client.sock.setblocking(False)
        return len(group.clients)

    def fanout(self, name: str, times: int, frames: int) -> dict[str, float]:
        """Have the first say something, and again when all have got all frames of it."""
        return fanout(self._groups[name], times, frames)

    def receive(self, name: str, frames: int, seconds: int, stride: int, width: int) -> dict[str, float]:
        """Have some members get so many frames, and the others none."""
        return receive(self._groups[name], frames, seconds, stride, width)

    def echo(self, name: str, in_flight: int, milliseconds: int) -> dict[str, float]:
        """Keep messages under way for a time, then wait for the last."""
        return echo(self._groups[name], in_flight, milliseconds)

    def speak(self, name: str, rate: int, milliseconds: int, bystanders: str) -> dict[str, float]:
        """Have the first say what all are to hear, at a steady rate."""
        return speak(self._groups[name], rate, milliseconds, self._groups.get(bystanders))

    def close(self, name: str) -> int:
        """Close a group's connections."""
        group = self._groups.pop(name)
        group.epoll.close()
        for client in group.clients:
            client.sock.close()
        return 0


def shake_hands(wave: list[Client], kind: str, path: str) -> None:
    """Open the WebSockets of connections, and read what comes before all else."""
    request = upgrade_request(path, compression=kind == "deflate")
    for client in wave:
        client.sock.sendall(request)
    for client in wave:
        head = read_head(client)
        right = head == request if kind == "echoed" else head.startswith(b"HTTP/1.1 101 ")
        if not right or (b"permessage-deflate" in head) != (b"permessage-deflate" in request):
            raise RuntimeError(f"an unexpected answer to the handshake: {head!r}")
        if kind in ("greeted", "socketio"):
            read_frame(client)
        if kind == "socketio":
            client.sock.sendall(client_frame(b"40"))  # connect to its namespace
    for client in wave if kind == "socketio" else ():
        read_frame(client)


def more(client: Client) -> None:
    """Read some."""
    data = client.sock.recv(65536)
    if not data:
        raise RuntimeError(f"the server closed the connection after {client.received!r}")
    client.received += data


def read(client: Client, size: int) -> bytes:
    """Read so many bytes."""
    while len(client.received) < size:
        more(client)
    data, client.received = client.received[:size], client.received[size:]
    return data


def read_head(client: Client) -> bytes:
    """Read an HTTP response."""
    while (end := client.received.find(b"\r\n\r\n")) < 0:
        more(client)
    return read(client, end + 4)


def read_frame(client: Client) -> bytes:
    """Read a frame of text, and give its payload."""
    head = read(client, 2)
    length = int.from_bytes(read(client, 2)) if head[1] == 126 else head[1]
    return read(client, length)


def inflate(client: Client) -> bytes:
    """Read a compressed message."""
    while (text := inflated(client.received)) is None:
        more(client)
    client.received = b""
    return text


def main() -> None:
    gc.disable()  # it makes no cycles
    load = Load()
    orders = ("connect", "exchange", "fanout", "receive", "echo", "speak", "close")
    serve({order: getattr(load, order) for order in orders})


if __name__ == "__main__":
    main()

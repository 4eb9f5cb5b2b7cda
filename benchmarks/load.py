"""Clients by the thousand in one process: `python -m benchmarks.load`, with orders on standard input.

Made of raw sockets and epoll, so that the load costs less than what it loads. What arrives is counted by bytes, and
an order fails where they are too few, too many, or too late. Groups have names; `Load`'s methods are the orders:

    connect GROUP KIND PORT COUNT               open connections; KIND is plain, websocket, deflate, or echoed
    exchange GROUP                              send one message from each, and see it come back
    receive GROUP BYTES SECONDS                 read so many bytes for each, within a time
    echo GROUP IN_FLIGHT MILLISECONDS           keep so many messages under way for each that are to come back
    speak GROUP RATE SECONDS                    have one member say so many messages a second, and all hear them
    close GROUP                                 close its connections

A plain connection has no handshake; the server of an echoed one sends its request back.
"""

from __future__ import annotations

import gc
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from itertools import islice

from benchmarks.orders import serve
from benchmarks.wire import (
    CLIENT_FRAME_SIZE,
    MESSAGE_SIZE,
    SERVER_FRAME_SIZE,
    client_frame,
    compressed_client_frame,
    payload_of,
    upgrade_request,
)

__all__: list[str] = []

TIMEOUT_SECONDS = 20
WAVE = 200
"""Connections that are opened at a time, far fewer than a listening socket's queue holds."""
PER_ADDRESS = 5000
"""Connections from one source address, whose ports there are 28,000 of unless the system is told otherwise."""
IP_BIND_ADDRESS_NO_PORT = 24  # of Linux: the port is chosen when the peer is known, so that each address has them all
EVENTS = 64
"""Members whose bytes are read before the next message may be due."""
WATCHED = 50
LATE_SECONDS = 10
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing leaves no socket behind that waits a minute
MESSAGE = b"m" * MESSAGE_SIZE


class Group:
    """Connections to one server."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.sockets: dict[int, socket.socket] = {}
        self.epoll = select.epoll()

    def add(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sockets[sock.fileno()] = sock
        self.epoll.register(sock.fileno(), select.EPOLLIN)

    def waves(self) -> Iterator[list[socket.socket]]:
        """Its sockets, some at a time."""
        every = iter(self.sockets.values())
        while wave := list(islice(every, WAVE)):
            yield wave

    def close(self) -> None:
        self.epoll.close()
        for sock in self.sockets.values():
            sock.close()


class Load:
    """All groups."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self._buffer = bytearray(256 * 1024)
        self._opened = 0

    def connect(self, name: str, kind: str, port: int, count: int) -> int:
        """Open connections; gives how many there are in the group."""
        group = self._groups.setdefault(name, Group(kind))
        while count:
            wave = [self._open(port) for _ in range(min(count, WAVE))]
            if kind != "plain":
                self._shake_hands(wave, kind)
            for sock in wave:
                group.add(sock)
            count -= len(wave)
        return len(group.sockets)

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

    def _shake_hands(self, wave: list[socket.socket], kind: str) -> None:
        request = upgrade_request(compression=kind == "deflate")

        def answered(received: bytes) -> bytes | None:
            end = received.find(b"\r\n\r\n") + 4
            return received[:end] if end > 3 else None

        for response in exchange(wave, request, answered):
            if kind == "echoed":
                right = response == request
            else:
                right = response.startswith(b"HTTP/1.1 101 ")
                right &= (b"permessage-deflate" in response) == (kind == "deflate")
            if not right:
                raise RuntimeError(f"an unexpected answer to the handshake: {response!r}")

    def exchange(self, name: str) -> int:
        """Send a message from each, and see it come back; gives how many."""
        group = self._groups[name]
        request = (compressed_client_frame if group.kind == "deflate" else client_frame)(MESSAGE)
        plain = group.kind in ("plain", "echoed")

        def echoed(received: bytes) -> bytes | None:
            return received if len(received) >= len(request) else None

        for wave in group.waves():
            for sock in wave:
                sock.settimeout(TIMEOUT_SECONDS)
            for message in exchange(wave, request, echoed if plain else payload_of):
                if message != (request if plain else MESSAGE):
                    raise RuntimeError(f"not what was sent came back: {message!r}")
            for sock in wave:
                sock.setblocking(False)
        return len(group.sockets)

    def receive(self, name: str, size: int, seconds: int) -> int:
        """Read so many bytes for each member; gives the sum."""
        group, buffer = self._groups[name], self._buffer
        sockets = group.sockets
        missing = dict.fromkeys(sockets, size)
        outstanding = total = size * len(sockets)
        deadline = time.monotonic() + seconds
        while outstanding:
            events = group.epoll.poll(0.5)
            for fd, _ in events:
                got = sockets[fd].recv_into(buffer)
                missing[fd] -= got
                outstanding -= got
                if not got or missing[fd] < 0:
                    raise RuntimeError("a member was cut off" if not got else "a member got too much")
            if not events and time.monotonic() > deadline:
                short = sum(map(bool, missing.values()))
                raise TimeoutError(f"{outstanding} of {total} bytes missing, at {short} members")
        if group.epoll.poll(0):
            raise RuntimeError("a member got too much")
        return total

    def echo(self, name: str, in_flight: int, milliseconds: int) -> dict[str, float]:
        """Keep messages under way for a time, then wait for the last; gives the messages and the seconds."""
        group, buffer = self._groups[name], self._buffer
        sockets, poll = group.sockets, group.epoll.poll
        reply_size = SERVER_FRAME_SIZE if group.kind == "websocket" else CLIENT_FRAME_SIZE
        requests = [client_frame(MESSAGE) * count for count in range(in_flight + 1)]
        received = dict.fromkeys(sockets, 0)  # bytes of a reply that is not complete
        start = time.perf_counter()
        for sock in sockets.values():
            sock.send(requests[in_flight])
        messages, outstanding = 0, in_flight * len(sockets)
        end = start + milliseconds / 1000
        while outstanding:
            events = poll(TIMEOUT_SECONDS)
            if not events:
                raise TimeoutError(f"{outstanding} messages did not come back")
            going_on = time.perf_counter() < end
            for fd, _ in events:
                sock = sockets[fd]
                got = sock.recv_into(buffer)
                if not got:
                    raise RuntimeError("a client was cut off")
                replies, received[fd] = divmod(received[fd] + got, reply_size)
                messages += replies
                if not going_on:
                    outstanding -= replies
                elif replies:
                    sock.send(requests[replies])  # always taken as a whole: the socket's buffer holds far more
        return {"messages": messages, "seconds": time.perf_counter() - start}

    def speak(self, name: str, rate: int, seconds: int) -> dict[str, float]:
        """Have the first member send at a steady rate what all are to hear; gives the time until that in milliseconds.

        It is measured at every fiftieth member. A member that hears less within `LATE_SECONDS` of the last message
        counts as that late for all that it misses.
        """
        group, buffer = self._groups[name], self._buffer
        sockets, poll = group.sockets, group.epoll.poll
        speaker = next(iter(sockets.values()))
        frame, total = client_frame(MESSAGE), rate * seconds
        heard = dict.fromkeys(sockets, 0)  # bytes
        watched = set(islice(sockets, 0, None, WATCHED))
        sent_at: list[float] = []
        waits: list[float] = []
        missing = total * len(sockets) * SERVER_FRAME_SIZE
        start = time.perf_counter()
        end = start + seconds + LATE_SECONDS
        now = start
        while missing and now < end:
            due = min(total, int((now - start) * rate) + 1)
            while len(sent_at) < due:
                speaker.send(frame)
                sent_at.append(time.perf_counter())
            for fd, _ in poll(0 if len(sent_at) < total else 0.01, EVENTS):
                got = sockets[fd].recv_into(buffer)
                if not got:
                    raise RuntimeError("a member was cut off")
                before, after = heard[fd], heard[fd] + got
                heard[fd] = after
                missing -= got
                if fd in watched:
                    now = time.perf_counter()
                    first, last = before // SERVER_FRAME_SIZE, after // SERVER_FRAME_SIZE
                    waits += [now - moment for moment in sent_at[first:last]]
            now = time.perf_counter()
        for fd in watched:
            waits += [LATE_SECONDS] * (total - heard[fd] // SERVER_FRAME_SIZE)
        waits.sort()
        return {"p50": waits[len(waits) // 2] * 1000, "p99": waits[len(waits) * 99 // 100] * 1000}

    def close(self, name: str) -> None:
        """Close a group's connections."""
        self._groups.pop(name).close()


def exchange(wave: list[socket.socket], request: bytes, complete: Callable[[bytes], bytes | None]) -> Iterator[bytes]:
    """Send a request on each socket, and give what comes back once it is complete."""
    for sock in wave:
        sock.sendall(request)
    for sock in wave:
        received = b""
        while (answer := complete(received)) is None:
            data = sock.recv(65536)
            if not data:
                raise RuntimeError(f"the server closed the connection after {received!r}")
            received += data
        yield answer


def main() -> None:
    gc.disable()  # it makes no cycles
    load = Load()
    serve(
        {
            "connect": load.connect,
            "exchange": load.exchange,
            "receive": load.receive,
            "echo": load.echo,
            "speak": load.speak,
            "close": load.close,
        }
    )


if __name__ == "__main__":
    main()

"""Gateways and a Register that do as a test says, in threads of their own, so that any client can talk to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.wire import commands, php
from tidegate.wire.packet import Packet, PacketReader

VECTORS = Path(__file__).parents[1] / "vectors"
DEADLINE = 20
"""Seconds for what has no reason to take one."""
QUERIES = {
    commands.BATCH_GET_CLIENT_COUNT_BY_GROUP,
    commands.BATCH_GET_CLIENT_ID_BY_UID,
    commands.GET_ALL_CLIENT_SESSIONS,
    commands.GET_CLIENT_COUNT_BY_GROUP,
    commands.GET_CLIENT_ID_BY_UID,
    commands.GET_CLIENT_SESSIONS_BY_GROUP,
    commands.GET_GROUP_ID_LIST,
    commands.GET_SESSION_BY_CLIENT_ID,
    commands.IS_ONLINE,
    commands.SELECT,
}

HANG_UP = b"hang up"
RESET = b"reset"

Client = Any
"""A GatewayClient, or an AsyncGatewayClient that is driven as if it were one."""


def framed(value: Any) -> bytes:
    """An answer."""
    data = php.dumps(value)
    return struct.pack("!I", len(data)) + data


def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Wait for something to be true; gives it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)
    return found


class Server:
    """Accepts connections until it is stopped, each served in a thread."""

    def __init__(self, port: int = 0) -> None:
        self.accepted = 0
        self._socks: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be gone, connections and all."""
        self.refuse()
        self._threads[0].join(DEADLINE)  # whoever got in is known now
        self.hang_up()
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()

    def refuse(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """End the connections there are."""
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._socks.clear()

    def reset(self) -> None:
        """Break off the connections that nobody is reading."""
        for sock in self._socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self._socks.clear()

    def say(self, data: bytes) -> None:
        """Send something that nobody has asked for."""
        for sock in self._socks:
            sock.sendall(data)

    @property
    def open(self) -> int:
        """How many connections are served."""
        return sum(thread.is_alive() for thread in self._threads[1:])

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            self.accepted += 1
            self._start(self._serve, sock, self.accepted - 1)

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock, contextlib.suppress(OSError):
            self.talk(sock, number)

    def talk(self, sock: socket.socket, number: int) -> None:
        raise NotImplementedError


class ScriptedGateway(Server):
    """Notes the packets that come, and answers as it is told.

    Attributes:
        answer: makes the bytes that go back for a query; None for none, HANG_UP and RESET to end the connection.
        packets: those of all connections.
        by_connection: the same, for each connection.
        received: all bytes that came.
        reads: cleared while it does not read.
        cuts: whether answers leave byte by byte.
    """

    made: ClassVar[list[str]] = []
    """The addresses of all that this test has made."""

    def __init__(self, answer: Callable[[Packet], bytes | None] | None = None, port: int = 0) -> None:
        super().__init__(port)
        self.made.append(self.address)
        self.answer = answer or (lambda packet: framed(0))
        self.packets: list[Packet] = []
        self.by_connection: dict[int, list[Packet]] = {}
        self.received = bytearray()
        self.cuts = False
        self.reads = threading.Event()
        self.reads.set()

    def __exit__(self, *_: object) -> None:
        self.reads.set()
        super().__exit__()

    def client_id(self, number: int = 1) -> str:
        """One of its clients."""
        return f"7f000001{self.port:04x}{number:08x}"

    def bodies(self) -> list[str]:
        """The messages that came."""
        return [packet[4].decode() for packet in self.packets if packet[0] not in QUERIES]

    def talk(self, sock: socket.socket, number: int) -> None:
        reader = PacketReader()
        own = self.by_connection.setdefault(number, [])
        while True:
            self.reads.wait()
            data = sock.recv(65536)
            self.reads.wait()  # where it was told meanwhile
            if not data:
                return
            self.received += data
            for packet in reader.feed(data):
                own.append(packet)
                self.packets.append(packet)
                if packet[0] not in QUERIES:
                    continue
                answer = self.answer(packet)
                if answer == RESET:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer in (HANG_UP, RESET):
                    return
                self._send(sock, answer or b"")

    def _send(self, sock: socket.socket, answer: bytes) -> None:
        if not self.cuts:
            sock.sendall(answer)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in answer:
            sock.sendall(bytes([byte]))


class ScriptedRegister(Server):
    """Names these gateways to whoever asks; counts how often it was asked.

    Attributes:
        gateways: their addresses.
        tidegate: those that say they are Tidegate's.
        answer: bytes in place of the list; None for no answer.
        lines: what came.
    """

    def __init__(self, *gateways: str, port: int = 0) -> None:
        super().__init__(port)
        self.gateways = list(gateways)
        self.tidegate: list[str] = []
        self.answer: bytes | None = b""
        self.lines: list[bytes] = []

    def talk(self, sock: socket.socket, number: int) -> None:
        while line := sock.makefile("rb").readline():
            self.lines.append(line)
            if self.answer is not None:
                message = {"event": "broadcast_addresses", "addresses": self.gateways, "tidegate": self.tidegate}
                sock.sendall(self.answer or json.dumps(message).encode() + b"\n")


class Driven:
    """An AsyncGatewayClient whose loop runs only while one of its methods does."""

    def __init__(self, make_loop: Callable[[], asyncio.AbstractEventLoop], *args: Any, **options: Any) -> None:
        self.client = AsyncGatewayClient(*args, **options)
        self.runner = asyncio.Runner(loop_factory=make_loop)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await method(*args, **options)

        return lambda *args, **options: self.runner.run(call(*args, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if not self.client._is_closed:
            with self.runner:
                self.runner.run(self.client.aclose())

"""A system that records what is handed to it, and takes only as much as a test allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

from tidegate import Connection
from tidegate.net import batch
from tidegate.net.endpoint import Callbacks, Endpoint, Limits
from tidegate.protocols import Codec, Raw

PLENTY = 1 << 40


class System(asyncio.Transport):
    """Socket and transport of one connection. `room` is how many bytes the socket takes from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.room = PLENTY
        self.writes: list[bytes] = []
        self.buffer = b""
        self.is_over = False
        self.protocol: Connection | None = None

    # As a socket

    def send(self, data: bytes | memoryview) -> int:
        if not self.room:
            raise BlockingIOError
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.writes.append(taken)
        return len(taken)

    # As a transport

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        try:
            sent = 0 if self.buffer else self.send(memoryview(data))
        except BlockingIOError:
            sent = 0
        rest = bytes(data[sent:])
        if rest and not self.buffer:
            self.buffer = rest
            self._protocol.pause_writing()
        else:
            self.buffer += rest

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def drain(self) -> None:
        """The peer has read everything."""
        self.room = PLENTY
        if self.buffer:
            self.writes.append(self.buffer)
            self.buffer = b""
            self._protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 5000) if name == "peername" else default

    def can_write_eof(self) -> bool:
        return False

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.is_over

    @property
    def _protocol(self) -> Connection:
        assert self.protocol is not None
        return self.protocol


class CountingCodec(Raw):
    """Counts how often it encodes."""

    __slots__ = ()

    encoded = 0

    def encode(self, message: str | bytes) -> bytes:
        type(self).encoded += 1
        return super().encode(message)


class Stage:
    """An endpoint whose connections are made by hand."""

    def __init__(self, make_codec: Callable[[], Codec] = Raw, **limits: Any) -> None:
        self.callbacks = Callbacks()
        self.endpoint = Endpoint("stage", make_codec, self.callbacks, Limits(**limits))

    def connect(self) -> tuple[Connection, System]:
        system = System()
        connection = Connection(self.endpoint, cast("Any", system))
        system.protocol = connection
        connection.connection_made(system)
        return connection, system

    def feed(self, connection: Connection, data: bytes) -> None:
        """Have a connection read something."""
        buffer = connection.get_buffer(-1)
        buffer[: len(data)] = data
        connection.buffer_updated(len(data))

    async def __aenter__(self) -> Stage:
        self._send_many, batch.send_many = batch.send_many, batch.send_many_in_python  # whose sockets may be played
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in tuple(self.endpoint.connections.values()):
            connection.destroy()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.endpoint.release()
        batch.send_many = self._send_many

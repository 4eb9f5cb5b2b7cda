"""The sending half of a connection: messages become bytes that leave together at the end of the loop's turn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tidegate.errors import SlowConsumerError
from tidegate.net.batch import Batch
from tidegate.protocols import Message

if TYPE_CHECKING:
    from tidegate.net.endpoint import Endpoint
    from tidegate.net.reactor import FrameCache
    from tidegate.protocols import Codec

__all__ = ["CLOSED", "CLOSING", "OPEN", "OPENING", "Outbox", "Sendable"]

Sendable = Message | bytearray | memoryview

OPENING, OPEN, CLOSING, CLOSED = range(4)

JOIN_LIMIT = 64 * 1024
"""Bytes up to which an outbox is joined into one piece; above, the system gathers the pieces without a copy."""


class Outbox(asyncio.BufferedProtocol):
    """What a `Connection` is for those who send.

    A file of its own and yet no object of its own, since tens of thousands would stand idle. The queue exists only
    while something is in it. `_room` is how many bytes it may still take, and is below zero while there is none, so
    that the common case of `send` is one comparison.
    """

    __slots__ = (
        "_blocked",
        "_codec",
        "_frames",
        "_full",
        "_queue",
        "_room",
        "_socket",
        "_state",
        "_transport",
        "endpoint",
        "id",
    )

    _transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        self.endpoint = endpoint
        self.id = next(endpoint.ids)
        self._codec: Codec = endpoint.make_codec()
        self._state = OPENING
        self._socket = sock  # where it may be written to directly, past the transport: not with TLS
        self._blocked = 0  # messages of a write that the system did not take as a whole
        self._full = False  # on_buffer_full was told
        self._frames: FrameCache = endpoint.no_frames
        self._room = -1
        self._queue: list[bytes] | None = None

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the client."""
        queue = self._queue
        waiting = queue.size if type(queue) is Batch else sum(map(len, queue)) if queue else 0
        return waiting + (self._transport.get_write_buffer_size() if self._blocked else 0)

    def send(self, data: Sendable) -> bool:
        """Queue a message, to leave at the end of this turn of the loop.

        Args:
            data: `str` (UTF-8; a text frame) or `bytes` (a binary frame). What a protocol of the user's own takes may
                be anything.

        Returns:
            Whether it was queued: not where the connection is closed or closing, nor over `send_buffer_limit`.

        Raises:
            TypeError: where it is no message.
        """
        try:
            frame = self._frames.get(data)  # type: ignore[arg-type] # see below
        except (TypeError, ValueError):  # nothing that can be looked up, such as a bytearray
            frame = None
        if frame is None:
            frame = self._encode(data)
        room = self._room - len(frame)
        if room < 0:
            return self._send_first(frame)
        self._room = room
        self._queue.append(frame)  # type: ignore[union-attr] # there is one, since there is room in it
        return True

    def send_body(self, body: bytes) -> bool:
        """Send a message whose kind nobody has said: text where it is UTF-8, else binary."""
        frame = self._codec.encode_body(body)
        room = self._room - len(frame)
        if room < 0:
            return self._send_first(frame)
        self._room = room
        self._queue.append(frame)  # type: ignore[union-attr] # there is one, since there is room in it
        return True

    def send_bodies(self, bodies: list[bytes]) -> bool:
        """Do what `send_body` does for each, where that is quicker so; gives whether it is, else nothing is done."""
        frames = self._codec.encode_bodies(bodies)
        if frames is None:
            return False
        if self._room < 0:
            self._send_first(frames.pop(0))
            if not frames:
                return True
        room = self._room - sum(map(len, frames))
        if room >= 0:
            self._room = room
            self._queue += frames  # type: ignore[operator] # there is one, since there is room in it
            return True
        for frame in frames:
            if (room := self._room - len(frame)) < 0:
                self._send_first(frame)
            else:
                self._room = room
                self._queue.append(frame)  # type: ignore[union-attr] # as above
        return True

    def _encode(self, data: Sendable) -> bytes:
        codec = self._codec
        if isinstance(data, bytearray | memoryview):
            data = bytes(data)
            frame = self._frames.get(data)
            if frame is not None:
                return frame
        if not codec.shared:
            return codec.encode(data)
        if not isinstance(data, str | bytes):
            raise TypeError(f"a message is str or bytes, not {type(data).__name__}")
        frame = codec.encode(data)
        if self._state == OPEN:
            if not self._frames:
                self.endpoint.reactor.clear_later(self._frames)
            self._frames.add(data, frame)
        return frame

    def _send_first(self, frame: bytes) -> bool:
        """Send what there is no room for: the first message of an outbox, or one too many."""
        endpoint = self.endpoint
        if self._state != OPEN:
            endpoint.stats.send_failures += 1
            return False
        if self._queue is None and not self._blocked:
            self._room = endpoint.limits.send_buffer_limit - len(frame)
            self._queue = [frame]
            endpoint.reactor.flush_later(self)
            return True
        if type(self._queue) is Batch:
            self.take_copy()
            self.endpoint.reactor.flush_later(self)  # with what is meant for it alone it does not wait for the others
            room = self._room - len(frame)
            if room >= 0:
                self._room = room
                self._queue.append(frame)
                return True
        if self._queue is not None and not self._blocked:
            self.flush()  # what the system takes at once is no sign of a slow client
            if self._state != OPEN:  # nor is a client that turns out to be gone
                self.endpoint.stats.send_failures += 1
                return False
            if self._queue is None and not self._blocked:
                return self._send_first(frame)
        if self._queue is None:
            waiting = self._transport.get_write_buffer_size()
            room = endpoint.limits.send_buffer_limit - waiting - len(frame)
            if room >= 0 or not waiting:
                self._room = room
                self._queue = [frame]
                return True
        return self._overflow()

    def take_copy(self) -> None:
        """Have an outbox of its own again, with what it shared until now."""
        batch = self._queue
        assert type(batch) is Batch
        self._queue = list(batch)
        self._room = self.endpoint.limits.send_buffer_limit - batch.size
        batch.left_by([self])

    def _overflow(self) -> bool:
        endpoint = self.endpoint
        endpoint.stats.send_failures += 1
        if not self._full:
            self._full = True
            self._dispatch(endpoint.callbacks.on_buffer_full)
        if endpoint.limits.slow_consumer == "close" and self._state == OPEN:
            endpoint.stats.slow_consumers += 1
            error = SlowConsumerError(f"over {endpoint.limits.send_buffer_limit} bytes wait for the client")
            endpoint.throttle.log(logging.WARNING, "%s: %s closed: %s", endpoint.name, self, error)
            self._dispatch(endpoint.callbacks.on_error, error)
            self.destroy()
        return False

    def _send_control(self, frame: bytes) -> None:
        """Queue bytes that are no message; too many of them for a client that does not read end the connection."""
        self.endpoint.stats.controls_out += 1
        if type(self._queue) is Batch:
            self.take_copy()
        if self._queue is not None:
            self._queue.append(frame)
            self._room -= len(frame)
            if self._room < -self.endpoint.limits.send_buffer_limit:
                self._overflow()
                if self._state == OPEN:
                    self.destroy()
            return
        waiting = self._transport.get_write_buffer_size() if self._blocked else 0
        self._room = self.endpoint.limits.send_buffer_limit - waiting - len(frame)
        self._queue = [frame]
        if not self._blocked:
            self.endpoint.reactor.flush_later(self)

    def _flush_codec(self) -> None:
        output = self._codec.take_output()
        if self._state < CLOSING:
            self._send_control(output)

    def flush(self) -> None:
        """Hand the outbox to the system."""
        queue = self._queue
        if queue is None or self._blocked:
            return
        endpoint = self.endpoint
        size = endpoint.limits.send_buffer_limit - self._room  # or more, where it was begun behind others
        self._queue = None
        self._room = -1
        endpoint.stats.frames_out += len(queue)
        if type(queue) is Batch:
            self._write(queue.joined())
            queue.left_by([self])
        elif len(queue) == 1:
            self._write(queue[0])
        elif size <= JOIN_LIMIT:
            self._write(endpoint.reactor.join(queue))
        else:
            self._transport.writelines(queue)
            if self._socket is not None and not self._blocked and self._transport.get_write_buffer_size():
                # asyncio of Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 forgets to say so (CVE-2024-12254).
                self._transport.set_write_buffer_limits(high=0)
        if self._blocked:
            self._blocked = len(queue)
        if self._state == CLOSING:
            self._flushed()

    def _write(self, data: bytes) -> None:
        """Write past the transport, which is quicker, while nothing waits in it; what is not taken it gets."""
        sent = 0
        if self._socket is not None:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self.destroy()
                return
            if sent == len(data):
                return
        self._transport.write(memoryview(data)[sent:] if sent else data)

    def wrote_in_part(self, data: bytes, size: int, messages: int) -> None:
        """So many bytes of so many messages were sent past the transport, which gets the rest; -1: it is broken."""
        if size < 0:
            self.destroy()
            return
        self._transport.write(memoryview(data)[size:])
        if self._blocked:
            self._blocked = messages

    def pause_writing(self) -> None:
        self._blocked = 1

    def resume_writing(self) -> None:
        # In a turn of its own, as asyncio's transport can't bear to be closed while it says so.
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._state == CLOSED:
            return
        self._blocked = 0
        self.flush()
        if self._blocked or self._queue is not None:
            return
        if self._full:
            self._full = False
            self._dispatch(self.endpoint.callbacks.on_buffer_drain)
        if self._state == CLOSING:
            self._flushed()

    def _drop_queue(self) -> None:
        if type(self._queue) is Batch:
            self.take_copy()
        self.endpoint.stats.send_failures += self._blocked + len(self._queue or ())
        self._blocked = 0
        self._queue = None
        self._room = -1

    # What the other half does

    def destroy(self) -> None:
        raise NotImplementedError

    def _dispatch(self, callback: Callable[..., Any] | None, *args: Any) -> None:
        raise NotImplementedError

    def _flushed(self) -> None:
        raise NotImplementedError

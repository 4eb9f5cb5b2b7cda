"""What the connections of one event loop share: the read buffer, the end of a turn, and a coarse clock."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from tidegate.net.batch import write_together
from tidegate.protocols import Message

__all__ = ["FrameCache", "Reactor"]

logger = logging.getLogger("tidegate")

READ_BUFFER_SIZE = 256 * 1024
SLICE = 256
SLICE_BYTES = 8 * 1024 * 1024
"""Outboxes of a crowd that are written in one turn, and about how many bytes: a few milliseconds, in which nobody else
is served."""
TICK_SECONDS = 1.0


class Writer(Protocol):
    """What is written at the end of a turn: an outbox or a link."""

    @property
    def id(self) -> Any: ...

    @property
    def queued_bytes(self) -> int: ...

    def flush(self) -> None: ...

    def destroy(self) -> None: ...


class FrameCache(dict[Message, bytes]):
    """Messages and their encoded form, so that a broadcast is encoded once. Emptied at the end of each turn."""

    __slots__ = ("size",)

    MAX_ENTRIES = 1024
    MAX_SIZE = 8 * 1024 * 1024
    """Bytes of frames; a turn that sends more begins anew."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, message: Message, frame: bytes) -> None:
        """Keep a frame until the turn ends."""
        self.size += len(frame)
        if self.size > self.MAX_SIZE or len(self) >= self.MAX_ENTRIES:
            self.clear()
            self.size = len(frame)
        self[message] = frame


class Reactor:
    """One for each running loop; `acquire` gives it.

    Attributes:
        buffer: every connection reads into it, so that an idle one holds none. What outlives a callback is copied.
        tick: seconds, counted by a timer; what only needs a coarse clock reads it without a system call.
        now: the loop's time at the last tick, or the last `advance`.
        ids: numbers for connections.
    """

    _running: dict[asyncio.AbstractEventLoop, Reactor] = {}  # noqa: RUF012 - the process's own, in this one place

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.buffer = memoryview(bytearray(READ_BUFFER_SIZE))
        self.tick = 0
        self.now = loop.time()
        self.ids = itertools.count(1)
        self.sweepers: list[Callable[[], None]] = []
        self._loop = loop
        self._links: list[Writer] = []
        self._dirty: list[Writer] = []
        self._crowd: deque[Any] = deque()  # of whom some are written in each turn
        self._caches: list[FrameCache] = []
        self._scheduled = False
        self._last_queue: list[bytes] = []
        self._last_joined = b""
        self._users = 0
        self._timer = loop.call_later(TICK_SECONDS, self._tick)

    @classmethod
    def acquire(cls) -> Reactor:
        """The running loop's; to be given back with `release`."""
        loop = asyncio.get_running_loop()
        reactor = cls._running.get(loop)
        if reactor is None:
            reactor = cls._running[loop] = cls(loop)
        reactor._users += 1
        return reactor

    def release(self) -> None:
        """Let it go; with the last user it ends."""
        self._users -= 1
        if not self._users:
            self._timer.cancel()
            self._running.pop(self._loop, None)

    def flush_later(self, connection: Writer) -> None:
        """Have a connection's outbox written at the end of this turn, or where many are, of one soon after."""
        self._dirty.append(connection)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def flush_first(self, link: Writer) -> None:
        """Have a link written at the end of this turn, however many connections are to be."""
        self._links.append(link)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def flush_in_slices(self, connections: Iterable[Writer]) -> None:
        """Have the outboxes of a crowd written, some in each turn, behind those of whom there are few."""
        self._crowd.extend(connections)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def clear_later(self, cache: FrameCache) -> None:
        """Have a cache emptied at the end of this turn."""
        self._caches.append(cache)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def join(self, queue: list[bytes]) -> bytes:
        """Join an outbox; clients in a row that are sent the same share the result, as in a busy room they are."""
        if queue != self._last_queue:
            self._last_queue = queue
            self._last_joined = b"".join(queue)
        return self._last_joined

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        crowd = self._crowd
        if len(dirty) > SLICE:
            crowd.extend(dirty[SLICE:])
            del dirty[SLICE:]
        if crowd:
            dirty += self._write_slice()
        if self._links:
            dirty = self._links + dirty
            self._links = []
        self._scheduled = bool(crowd)
        if crowd:
            self._loop.call_soon(self._flush)
        for connection in dirty:
            try:
                connection.flush()
            except Exception:
                logger.exception("connection %s: flushing failed, it is closed", connection.id)
                connection.destroy()
        self._last_queue, self._last_joined = [], b""
        caches, self._caches = self._caches, []
        for cache in caches:
            cache.clear()
            cache.size = 0

    def _write_slice(self) -> list[Any]:
        """Write to some of the crowd; gives those that are to be flushed by themselves."""
        crowd = self._crowd
        count = min(SLICE, len(crowd), 1 + SLICE_BYTES // (1 + crowd[0].queued_bytes))
        some = [crowd.popleft() for _ in range(count)]
        if len(set(some)) < count:  # who was written to before its turn came stands in line twice
            some = list(dict.fromkeys(some))
        try:
            return write_together(some)
        except Exception:
            logger.exception("%d connections could not be written to together", len(some))
            return some

    def advance(self) -> float:
        """Set `now` to the loop's time: whatever is read from here on was read after it."""
        self.now = self._loop.time()
        return self.now

    def _tick(self) -> None:
        self.tick += 1
        self.advance()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        for sweep in tuple(self.sweepers):
            try:
                sweep()
            except Exception:
                logger.exception("a sweep failed")

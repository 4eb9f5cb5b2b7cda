"""How much a client may send: connections that count what comes, and make one that sends too much wait, or go.

Connections are of these classes only where there is such a bound, so that others have nothing to do with it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tidegate.net.connection import Connection
from tidegate.net.inbox import BY_RATE
from tidegate.net.outbox import OPEN
from tidegate.protocols import Ending, Message

if TYPE_CHECKING:
    import socket

    from tidegate.net.endpoint import Endpoint, Limits

__all__ = ["BURST_SECONDS", "Meter", "Metered", "MeteredConnection"]

BURST_SECONDS = 2
"""Whose messages and bytes a client may send at once after it was quiet."""
LEAST_PAUSE = 0.05
"""Seconds between the messages of one that waits: those of a high rate go on several at a time."""
LEAST_READ, SMALL_MESSAGE = 512, 8
"""Bytes that are read at a time at the least; of a small message, so that one read brings few more than are allowed."""
TOO_MUCH = 1008


class Meter:
    """A token bucket for messages and one for bytes (0 is no bound).

    Attributes:
        waiting: messages that were read and may not be handled yet.
        timer: which goes on with them.
    """

    __slots__ = ("_at", "_bytes", "_limits", "_messages", "_portion", "timer", "waiting")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._messages = float(limits.messages_per_second * BURST_SECONDS)
        self._bytes = float(limits.bytes_per_second * BURST_SECONDS)
        self._at = now
        self._portion = _portion(limits)
        self.waiting: list[Message] = []
        self.timer: asyncio.TimerHandle | None = None

    def _fill(self, now: float) -> None:
        seconds, self._at = max(0.0, now - self._at), now
        messages, size = self._limits.messages_per_second, self._limits.bytes_per_second
        self._messages = min(self._messages + messages * seconds, messages * BURST_SECONDS)
        self._bytes = min(self._bytes + size * seconds, size * BURST_SECONDS)

    @property
    def portion(self) -> int:
        """Bytes to read at a time."""
        if not self._limits.bytes_per_second:
            return self._portion
        return max(LEAST_READ, min(self._portion, int(self._bytes)))

    def take(self, count: int, now: float) -> int:
        """Take tokens for messages; gives for how many there were."""
        if not self._limits.messages_per_second:
            return count
        self._fill(now)
        taken = min(count, int(self._messages))
        self._messages -= taken
        return taken

    def spend(self, size: int, now: float) -> bool:
        """Take tokens for bytes, which have been read in any case; gives whether there were as many."""
        if not self._limits.bytes_per_second:
            return True
        self._fill(now)
        self._bytes -= size
        return self._bytes >= 0

    @property
    def seconds(self) -> float:
        """Until there are tokens again for what waits, and no bytes are owed."""
        messages, size = self._limits.messages_per_second, self._limits.bytes_per_second
        pause = LEAST_PAUSE
        if self.waiting:
            pause = max(pause, (1 - self._messages) / messages)
        if self._bytes < 0:
            pause = max(pause, -self._bytes / size)
        return pause


def _portion(limits: Limits) -> int:
    portions = [1 << 18]
    if limits.messages_per_second:
        portions.append(limits.messages_per_second * BURST_SECONDS * SMALL_MESSAGE)
    if limits.bytes_per_second:
        portions.append(limits.bytes_per_second * BURST_SECONDS)
    return max(LEAST_READ, min(portions))


class Metered(Connection):
    """What a connection with a meter does differently; for a class that has a slot for it."""

    __slots__ = ()

    _meter: Meter

    def __init__(self, endpoint: Endpoint, sock: socket.socket | None) -> None:
        super().__init__(endpoint, sock)
        self._meter = Meter(endpoint.limits, asyncio.get_running_loop().time())

    def get_buffer(self, sizehint: int) -> memoryview:
        return super().get_buffer(sizehint)[: self._meter.portion]

    def buffer_updated(self, nbytes: int) -> None:
        was_open = self._state == OPEN
        super().buffer_updated(nbytes)
        if was_open and not self._meter.spend(nbytes, asyncio.get_running_loop().time()) and self._state == OPEN:
            self._slow_down("bytes")

    def _deliver(self, messages: list[Message]) -> None:
        meter = self._meter
        if meter.waiting:  # TLS may have decrypted more than was asked for
            meter.waiting += messages
            return
        allowed = meter.take(len(messages), asyncio.get_running_loop().time())
        if allowed == len(messages):
            super()._deliver(messages)
            return
        meter.waiting = messages[allowed:]
        if allowed:
            super()._deliver(messages[:allowed])
        if self._state == OPEN:
            self._slow_down("messages")
        else:
            self.drop_messages()

    def _slow_down(self, what: str) -> None:
        """There are not enough tokens."""
        endpoint, meter = self.endpoint, self._meter
        if endpoint.limits.over_rate == "close":
            endpoint.stats.rate_closes += 1
            endpoint.throttle.log(logging.WARNING, "%s: %s closed: too many %s a second", endpoint.name, self, what)
            self.close(code=TOO_MUCH, reason=f"too many {what} a second")
            return
        if meter.timer is None:
            endpoint.stats.rate_pauses += 1
            endpoint.throttle.log(logging.INFO, "%s: %s waits: too many %s a second", endpoint.name, self, what)
            self._wait()

    def _wait(self) -> None:
        self._hold(BY_RATE)
        self._meter.timer = asyncio.get_running_loop().call_later(self._meter.seconds, self._go_on_reading)

    def _go_on_reading(self) -> None:
        meter = self._meter
        if self._state != OPEN:
            return
        self._paused &= ~BY_RATE  # so that what is delivered now is handled now
        waiting, meter.waiting = meter.waiting, []
        if waiting:
            self._deliver(waiting)
        if self._state != OPEN:
            return
        meter.timer = None
        if meter.waiting or not meter.spend(0, asyncio.get_running_loop().time()):
            self._wait()
        else:
            self._release(BY_RATE)

    def _settle(self) -> None:
        """Deliver what waits: nothing more will come."""
        meter = self._meter
        if meter.timer is not None:
            meter.timer.cancel()
            meter.timer = None
        waiting, meter.waiting = meter.waiting, []
        if waiting:
            paused, self._paused = self._paused, self._paused & ~BY_RATE
            super()._deliver(waiting)
            self._paused |= paused

    def _ended(self, ending: Ending) -> None:
        self._settle()
        super()._ended(ending)

    def eof_received(self) -> bool:
        self._settle()
        return super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def drop_messages(self) -> None:
        meter = self._meter
        if meter.timer is not None:
            meter.timer.cancel()
            meter.timer = None
        self.endpoint.stats.dropped_messages += len(meter.waiting)
        meter.waiting = []
        super().drop_messages()


class MeteredConnection(Metered):
    """A connection with a meter."""

    __slots__ = ("_meter",)

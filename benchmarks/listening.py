"""What groups of the load do: `load` describes these orders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.wire import message, pair

if TYPE_CHECKING:
    from benchmarks.load import Client, Group

__all__ = ["echo", "fanout", "receive", "speak"]

TIMEOUT_SECONDS = 20
WATCHED = 50
LATE_SECONDS = 4
"""That those who speak wait for the last to be heard; what is not heard then counts as so late."""
BYSTANDER_SECONDS = 0.02
PAUSE_SECONDS = 0.0001
"""Between looks when nothing has come: a load that spins would seem to cost all of its core."""
EVENTS = 64
"""Members whose bytes are read before the next message may be due."""


def fanout(group: Group, times: int, frames: int) -> dict[str, float]:
    """One message at a time, or one for which all get several."""
    group.begin("say")
    word = "say" if group.kind == "raw" else "burst"
    burst = pair(group.kind, message(word, 0), frames)[0]
    speaker, share = group.clients[0], frames * group.reply_size
    start = time.monotonic()
    for number in range(1, times + 1):
        if frames == 1:
            group.ask_for(speaker, 1)
        else:
            speaker.sock.send(burst)
        missing = len(group.clients)
        while missing:
            ready = group.poll(TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"{missing} members did not get all of message {number}")
            for client in ready:
                before = client.got
                group.take(client)
                if client.got > number * share:
                    raise RuntimeError("a member got too much")
                missing -= client.got == number * share != before
    seconds = time.monotonic() - start
    group.end()
    return {"seconds": seconds}


def receive(group: Group, frames: int, seconds: int, stride: int, width: int) -> dict[str, float]:
    """Wait for frames that somebody else has sent; gives when the last came."""
    group.begin("say")
    share = frames * group.reply_size
    missing = sum(client.index % stride < width for client in group.clients)
    last = time.monotonic()
    deadline = last + seconds
    while missing:
        ready = group.poll(0.5)
        last = time.monotonic()
        if not ready and last > deadline:
            raise TimeoutError(f"{missing} members did not get all")
        for client in ready:
            before = client.got
            group.take(client)
            if client.got > share or (client.got and client.index % stride >= width):
                raise RuntimeError("a member got too much")
            missing -= client.got == share != before
    group.end()
    return {"end": last}


def echo(group: Group, in_flight: int, milliseconds: int) -> dict[str, float]:
    """Messages that come back, and the seconds that they took."""
    group.begin("echo")
    size, outstanding, messages = group.reply_size, in_flight * len(group.clients), 0
    start = time.monotonic()
    end = start + milliseconds / 1000
    for client in group.clients:
        group.ask_for(client, in_flight)
    while outstanding:
        ready = group.poll(TIMEOUT_SECONDS)
        if not ready:
            raise TimeoutError(f"{outstanding} messages did not come back")
        going_on = time.monotonic() < end
        for client in ready:
            before = client.got // size
            group.take(client)
            replies = client.got // size - before
            messages += replies
            if going_on and replies:
                group.ask_for(client, replies)
            else:
                outstanding -= replies
    return {"messages": messages, "seconds": time.monotonic() - start}


class Bystanders:
    """Clients that are in no room: each sends a message when it is due and the last has come back.

    How long one takes is counted from when it was due, so that waiting for the last counts too.
    """

    def __init__(self, group: Group, start: float, end: float) -> None:
        group.begin("echo")
        self._group, self._end = group, end
        step = BYSTANDER_SECONDS / len(group.clients)
        self._due = [start + step * client.index for client in group.clients]  # not all at once
        self.waits: list[float] = []

    def _is_waiting(self, client: Client) -> bool:
        return client.got != client.sent * self._group.reply_size

    def look(self) -> None:
        """Take what has come, and send what is due."""
        for client in self._group.poll(0):
            before = client.got
            self._group.take(client)
            if client.got != before and not self._is_waiting(client):
                self.waits.append(time.monotonic() - self._due[client.index])
                self._due[client.index] += BYSTANDER_SECONDS
        now = time.monotonic()
        for client in self._group.clients:
            if self._due[client.index] <= min(now, self._end) and not self._is_waiting(client):
                self._group.ask_for(client, 1)

    @property
    def wait(self) -> bool:
        """Whether something has to come back."""
        return any(map(self._is_waiting, self._group.clients))

    def give_up(self) -> None:
        """Count what has not come back."""
        now = time.monotonic()
        self.waits += [now - self._due[client.index] for client in self._group.clients if self._is_waiting(client)]


def speak(group: Group, rate: int, milliseconds: int, others: Group | None) -> dict[str, float]:
    """Milliseconds from when a message was due until it was heard, at every fiftieth member, and for bystanders."""
    group.begin("say")
    size, total, said = group.reply_size, rate * milliseconds // 1000, 0
    missing = total * len(group.clients) * size
    waits: list[float] = []
    now = start = time.monotonic()
    end = start + milliseconds / 1000
    bystanders = Bystanders(others, start, end) if others else None
    while (missing or now < end or (bystanders and bystanders.wait)) and now < end + LATE_SECONDS:
        while said < total and start + said / rate <= time.monotonic():
            group.ask_for(group.clients[0], 1)
            said += 1
        ready = group.poll(0, EVENTS)
        if not ready:
            time.sleep(PAUSE_SECONDS)
        for client in ready:
            before = client.got
            group.take(client)
            missing -= client.got - before
            if client.index % WATCHED == 0:
                now = time.monotonic()
                waits += [now - (start + heard / rate) for heard in range(before // size, client.got // size)]
        if bystanders:
            bystanders.look()
        now = time.monotonic()
    for client in group.clients[::WATCHED]:
        waits += [LATE_SECONDS] * (total - client.got // size)
    if bystanders:
        bystanders.give_up()
    found = {"p50": share_of(waits, 0.5), "p99": share_of(waits, 0.99), "missing": missing}
    others_waits = bystanders.waits if bystanders else []
    return found | {"bystanders_p50": share_of(others_waits, 0.5), "bystanders_p99": share_of(others_waits, 0.99)}


def share_of(seconds: list[float], share: float) -> float:
    """A percentile, in milliseconds."""
    return sorted(seconds)[int((len(seconds) - 1) * share)] * 1000 if seconds else 0

"""One message after the other to the same many connections: what a busy room costs.

Sending a message to each member takes time for each, although what waits for most of them is the same. So members that
nothing else waits for share one outbox, a `Batch`, and a further message is added to that once, whatever their number.
Who was written to shares no more until the next message, and whoever is sent something by itself takes a copy first,
so that each gets all that it is sent in the order in which it was sent.

What has to be cheap: another message while most members wait to be written to; the first one; a member that comes or
goes. Between messages, once all were written to, there is no audience at all, and it takes no memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, cast

from tidegate.net.batch import Batch
from tidegate.net.fanout import fan_out, fan_out_frame
from tidegate.net.outbox import OPEN, Outbox, Sendable
from tidegate.protocols import Message

__all__ = ["Audience", "Holder", "publish"]

CROWD = 32
"""Members from which sharing pays."""


class Holder(Protocol):
    """Whose members they are: a group, or all connections of an endpoint. It tells who comes and goes meanwhile."""

    audience: Audience | None


def publish(
    holder: Holder,
    members: Mapping[int, Outbox],
    message: Sendable,
    exclude: Collection[int] = (),
    *,
    raw: bool = False,
) -> int:
    """Send a message to connections; gives how many took it.

    Args:
        members: by id; all that the holder has.
        exclude: the ids of those who are not meant.
        raw: the message is encoded for them already.

    Raises:
        TypeError: where it is no message.
    """
    if isinstance(message, bytearray | memoryview):
        message = bytes(message)
    audience = holder.audience
    if audience is None:
        audience = Audience(holder, members) if len(members) >= CROWD else None
    if audience is not None and (raw or isinstance(message, str | bytes)):
        return audience.send(message, exclude, raw=raw)
    meant: Iterable[Outbox] = members.values()
    if exclude:
        meant = [member for number, member in members.items() if number not in exclude]
    return fan_out_frame(meant, cast("bytes", message)) if raw else fan_out(meant, message)


class Audience:
    """The members of a holder while some of them wait to be written to.

    Each is in one of three places: its outbox is one of the batches; it is `_apart`, and may share the next; or it is
    one of the `_others`, whose protocol writes the same message in other bytes.
    """

    __slots__ = ("_apart", "_batches", "_first", "_holder", "_members", "_others")

    def __init__(self, holder: Holder, members: Mapping[int, Outbox]) -> None:
        self._holder = holder
        self._members = members
        self._first = next(iter(members.values()))  # whose protocol is that of those who share
        self._batches: list[Batch] = []
        self._apart: dict[Outbox, None] = {}
        self._others: dict[Outbox, None] = {}
        for member in members.values():
            self.add(member)

    def add(self, member: Outbox) -> None:
        """A member has come."""
        shares = member._codec.shared and member._frames is self._first._frames
        (self._apart if shares else self._others)[member] = None

    def discard(self, member: Outbox) -> None:
        """A member has gone; what it was sent it still gets."""
        queue = member._queue
        if type(queue) is Batch and queue.audience is self:
            member.take_copy()
        self._apart.pop(member, None)
        self._others.pop(member, None)

    def dissolve(self) -> None:
        """All have gone."""
        for member in self._members.values():
            self.discard(member)

    def left(self, members: Iterable[Outbox], batch: Batch) -> None:
        """Some share a batch no more: they were written to, or took a copy."""
        self._apart.update(dict.fromkeys(members))
        if not batch.users:
            self._batches.remove(batch)
            if not self._batches and self._holder.audience is self:
                self._holder.audience = None

    def send(self, message: Message, exclude: Collection[int], *, raw: bool) -> int:
        """Send a message to all but those excluded; gives how many took it."""
        first = self._first
        frame = cast("bytes", message) if raw else first._frames.get(message) or first._encode(message)
        for number in exclude:
            member = self._members.get(number)
            if member is not None and type(member._queue) is Batch and member._queue.audience is self:
                member.take_copy()
        taken = self._add_to_batches(frame)
        users, by_themselves = self._share(frame, exclude)
        taken += users
        # From here on callbacks may be called, and may send as well.
        self._holder.audience = self if self._batches else None
        if by_themselves:
            taken += fan_out_frame(by_themselves, frame)
        if self._others:
            others = [member for member in self._others if member.id not in exclude]
            taken += fan_out_frame(others, frame) if raw else fan_out(others, message)
        return taken

    def _add_to_batches(self, frame: bytes) -> int:
        """Send to those who wait already; gives how many they are."""
        taken, limit = 0, self._first.endpoint.limits.send_buffer_limit - len(frame)
        for batch in tuple(self._batches):
            if batch.size <= limit:
                batch.add(frame)
                taken += batch.users
                continue
            for member in self._members.values():  # each has to be looked at: most can be written to at once
                if member._queue is batch:
                    member.take_copy()
        return taken

    def _share(self, frame: bytes, exclude: Collection[int]) -> tuple[int, list[Outbox]]:
        """Have those for whom nothing else waits share a batch; gives how many, and who has to be sent to by itself."""
        members, self._apart = self._apart, {}
        if not members:
            return 0, []
        batch = Batch(self, frame)
        users: list[Outbox] = []
        by_themselves = []
        for member in members:
            if exclude and member.id in exclude:
                self._apart[member] = None
            elif member._queue is None and member._state == OPEN and not member._blocked:
                member._queue = batch
                users.append(member)
            else:
                self._apart[member] = None
                by_themselves.append(member)
        if users:
            batch.users = len(users)
            self._batches.append(batch)
            self._first.endpoint.reactor.flush_in_slices(users)
        return len(users), by_themselves

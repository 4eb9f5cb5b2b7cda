"""What goes from one call to one gateway, and what comes back, one step at a time and never waiting."""

from __future__ import annotations

import selectors
import time
from collections.abc import Sequence
from typing import cast

from tidegate.client import failures
from tidegate.client.connection import Connection, Link
from tidegate.client.options import Options
from tidegate.client.questions import UNASKED
from tidegate.client.waker import Waker
from tidegate.errors import ClusterError

__all__ = ["Transfer"]

READ_SIZE = 256 * 1024

# The stages of a transfer.
QUEUED, CONNECTING, WRITING, READING, DONE = range(5)


class Transfer:
    """Has its turn at writing in the order in which transfers were begun, and at reading in that of the questions.

    Steps are for who holds the connection's lock; that may be another thread, whose step ends this transfer too.

    Args:
        connection: to the gateway.
        packets: in this order, in one write.
        is_query: whether each packet is answered.
        opens: whether it connects where there is no link; else it is done then, without an answer.
        sent: bytes that have left already.

    Attributes:
        expected: how many answers.
        answers: one for each packet, once it is done without an error.
        error: why it failed.
        number: the ledger's, once something was written.
        waker: wakes the thread whose transfer it is, where that waits for its turn.
    """

    __slots__ = (
        "_connect_until",
        "_data",
        "_is_new",
        "_link",
        "_opens",
        "_options",
        "_sent",
        "_stage",
        "answers",
        "connection",
        "error",
        "expected",
        "number",
        "waker",
    )

    def __init__(
        self,
        connection: Connection,
        packets: Sequence[bytes],
        is_query: bool,
        options: Options,
        *,
        opens: bool = True,
        sent: int = 0,
    ) -> None:
        self.connection = connection
        self.expected = len(packets) if is_query else 0
        self.answers: list[bytes] = []
        self.error: ClusterError | None = None
        self.number = 0
        self.waker: Waker | None = None
        self._data = packets[0] if len(packets) == 1 else b"".join(packets)
        self._options = options
        self._opens = opens
        self._sent = sent
        self._link = connection.link if sent else None
        self._stage = WRITING if sent else QUEUED
        self._is_new = False
        self._connect_until = 0.0

    @property
    def address(self) -> str:
        """The gateway's."""
        return self.connection.address

    @property
    def is_new(self) -> bool:
        """Whether it was not begun."""
        return self._stage == QUEUED

    @property
    def is_done(self) -> bool:
        return self._stage == DONE

    @property
    def events(self) -> int:
        """What the socket is to be waited for; 0 while it is the turn of others."""
        if self._stage == CONNECTING:
            return cast("Link", self._link).events
        # It may answer the first packets before it takes the last.
        reading = selectors.EVENT_READ if self._may_read else 0
        return reading | selectors.EVENT_WRITE if self._stage == WRITING else reading

    @property
    def waits_for_turn(self) -> bool:
        """Whether it has to be told, by its waker, when it can go on."""
        if self._stage == QUEUED:
            return True
        return self._stage in (WRITING, READING) and self.expected > 0 and not self._may_read

    def fileno(self) -> int:
        """The socket's, for waiting."""
        return cast("Link", self._link).fileno()

    def seconds_left(self, done_by: float) -> float:
        """How long it may stay where it is; at most until so late, by `time.monotonic`."""
        return (min(self._connect_until, done_by) if self._stage == CONNECTING else done_by) - time.monotonic()

    def advance(self) -> None:
        """Go as far as it goes without waiting."""
        if self._stage == QUEUED:
            if self.connection.writers[0] is self:
                self._begin()
        elif self._stage == CONNECTING:
            self._finish_connecting()
        elif self._stage != DONE:
            if self._may_read:
                self._read()
            if self._stage == WRITING:
                self._write()

    def fail(self, error: ClusterError) -> None:
        """It came to nothing."""
        if self._stage != DONE:
            self.error = error
            self._end()

    def wake(self) -> None:
        """It may go on. Its own thread takes the lock before it closes the waker, so that this is always in time."""
        if self.waker is not None:
            self.waker.wake()

    def time_out(self) -> None:
        """Give it up where it is."""
        options, address = self._options, self.address
        if self._stage == QUEUED:
            self.fail(failures.busy(address))
        elif self._stage == CONNECTING:
            self._fail_to_connect(failures.not_reached(address, min(options.connect_timeout, options.timeout)))
        elif self._stage == WRITING:
            self.give_up(failures.not_taken(address, options.timeout))
        elif self._stage == READING:
            self.give_up(failures.not_answered(address, options.timeout))

    def give_up(self, error: ClusterError) -> None:
        """Close the link with it, in the middle of anything: what comes there would be out of step ever after."""
        if self.connection.link is self._link:
            self.connection.give_up(error)
        self.fail(error)

    def let_go(self) -> None:
        """Of the link, which the thread does not wait for any more."""
        self._link = None

    @property
    def _may_read(self) -> bool:
        """Whether the next answer is its own."""
        if self._link is None:
            return False
        waiting = self._link.questions.waiting
        return bool(waiting) and waiting[0] is self

    def _begin(self) -> None:
        self._link = self.connection.usable()
        if self._link is None:
            self._open()
            return
        self._stage = WRITING
        self._write()

    def _open(self) -> None:
        if not self._opens:
            self._end()
            return
        self._stage = CONNECTING
        self._is_new = True
        self._connect_until = time.monotonic() + self._options.connect_timeout
        try:
            self._link = self.connection.open()
        except OSError as error:
            self._fail_to_connect(failures.unreachable(self.address, error))

    def _finish_connecting(self) -> None:
        try:
            if not cast("Link", self._link).open():
                return
        except OSError as error:
            self._fail_to_connect(failures.unreachable(self.address, error))
            return
        self._data = self._options.hello + self._data
        self._stage = WRITING
        self._write()

    def _fail_to_connect(self, error: ClusterError) -> None:
        """Nobody who waits for the link need try again."""
        for member in tuple(self.connection.writers):
            member.fail(type(error)(str(error)))
        self.give_up(error)

    def _write(self) -> None:
        link = cast("Link", self._link)
        try:
            sent = link.send(memoryview(self._data)[self._sent :] if self._sent else self._data)
        except BlockingIOError:
            return
        except OSError as error:
            self._stop_writing(link.error or failures.failed(self.address, error))
            return
        if self.expected and not self._sent:
            link.questions.waiting.append(self)
        self._sent += sent
        self.number = self.connection.use()
        if self._sent == len(self._data):
            self._stage = READING
            self.connection.leave(self)
            if not self.expected:
                self._end()

    def _stop_writing(self, error: ClusterError) -> None:
        if self._sent or self._is_new:
            self.give_up(error)
            return
        # Not a byte of it was written, so that it can't arrive twice.
        if self.connection.link is self._link:
            self.connection.give_up(error)
        self._open()

    def _read(self) -> None:
        link = cast("Link", self._link)
        try:
            data = link.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.give_up(failures.failed(self.address, error))
            return
        if not data:
            self.give_up(failures.closed_early(self.address))
            return
        answered, problem = link.questions.feed(data)
        transfers = cast("list[Transfer]", answered)
        if problem is None and any(transfer._stage == WRITING for transfer in transfers):
            problem = UNASKED
        if problem is not None:
            wrong = failures.out_of_step(self.address, problem)
            for transfer in transfers:
                transfer.fail(type(wrong)(str(wrong)))
            self.give_up(wrong)
            return
        for transfer in transfers:
            transfer._end()
        if link.questions.waiting:
            link.questions.waiting[0].wake()

    def _end(self) -> None:
        self.connection.leave(self)
        self.wake()
        self._stage = DONE

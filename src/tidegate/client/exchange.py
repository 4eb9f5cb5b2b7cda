"""Sending to several gateways at once and gathering what they answer, all within one time limit.

A gateway that is slow, gone or mad costs the others nothing, and its own failure is told apart.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

from tidegate.client import failures
from tidegate.client.connection import Connection
from tidegate.client.options import Options
from tidegate.errors import ClusterError

__all__ = ["Transfer", "exchange"]

READ_SIZE = 256 * 1024

# The stages of a transfer.
CONNECTING, WRITING, READING, DONE = range(4)

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Transfer:
    """What goes to one gateway, and what comes back.

    Args:
        connection: whose lock the caller holds.
        packets: in this order, in one write.
        is_query: whether each packet is answered.
        sent: bytes that have left already.

    Attributes:
        answers: one for each packet, once it is done without an error.
        error: why it failed; the connection is closed then.
    """

    __slots__ = ("_data", "_expected", "_options", "_sent", "_stage", "answers", "connection", "error")

    def __init__(
        self, connection: Connection, packets: Sequence[bytes], is_query: bool, options: Options, sent: int = 0
    ) -> None:
        self.connection = connection
        self.answers: list[bytes] = []
        self.error: ClusterError | None = None
        self._data = packets[0] if len(packets) == 1 else b"".join(packets)
        self._expected = len(packets) if is_query else 0
        self._options = options
        self._sent = sent
        self._stage = WRITING

    @property
    def address(self) -> str:
        """The gateway's."""
        return self.connection.address

    @property
    def is_done(self) -> bool:
        return self._stage == DONE

    @property
    def events(self) -> int:
        """What the socket is waited for."""
        if self._stage == READING:
            return selectors.EVENT_READ
        if self._stage == WRITING and self._expected:
            # It may answer the first packets before it takes the last.
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        return selectors.EVENT_WRITE

    def start(self) -> None:
        """Go as far as it goes without waiting."""
        if self.is_done:
            return
        connection = self.connection
        if self._sent or not connection.close_if_dead():
            self._write(may_reconnect=not self._sent)
        else:
            self._connect()

    def advance(self) -> None:
        """Go on, now that the socket is ready."""
        if self._stage == CONNECTING:
            self._finish_connecting()
        elif self._stage == WRITING:
            if self._expected:
                self._read()
            if self._stage == WRITING:
                self._write()
        elif self._stage == READING:
            self._read()

    def fileno(self) -> int:
        """The socket's, for waiting."""
        return self._sock.fileno()

    def refuse(self, error: ClusterError) -> None:
        """Leave the connection alone: this transfer is not to begin."""
        self.error = error
        self._stage = DONE

    def give_up(self) -> None:
        """Leave it where it is, unless it is done."""
        if not self.is_done:
            self._fail(failures.interrupted(self.connection.address))

    def time_out(self) -> None:
        """Give it up."""
        options, address = self._options, self.connection.address
        if self._stage == CONNECTING:
            self._fail(failures.not_reached(address, min(options.connect_timeout, options.timeout)))
        elif self._stage == WRITING:
            self._fail(failures.not_taken(address, options.timeout))
        elif self._stage == READING:
            self._fail(failures.not_answered(address, options.timeout))

    @property
    def is_connecting(self) -> bool:
        return self._stage == CONNECTING

    def _connect(self) -> None:
        self._stage = CONNECTING
        try:
            self.connection.open()
        except OSError as error:
            self._fail(failures.unreachable(self.connection.address, error))

    def _finish_connecting(self) -> None:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(failures.unreachable(self.connection.address, OSError(code, "")))
            return
        self._data = self._options.hello + self._data
        self._stage = WRITING
        self._write()

    @property
    def _sock(self) -> socket.socket:
        sock = self.connection.sock
        assert sock is not None, "a transfer goes on only while its connection is open"
        return sock

    def _write(self, may_reconnect: bool = False) -> None:
        try:
            sent = self._sock.send(memoryview(self._data)[self._sent :] if self._sent else self._data)
        except BlockingIOError:
            return
        except OSError as error:
            problem = failures.failed(self.connection.address, error)
            if not may_reconnect:
                self._fail(problem)
                return
            # Not a byte of it was written, so that it can't arrive twice.
            self.connection.close(problem)
            self._connect()
            return
        self._sent += sent
        self.connection.use()
        if self._sent == len(self._data):
            self._stage = READING if self._expected else DONE

    def _read(self) -> None:
        address = self.connection.address
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(failures.failed(address, error))
            return
        if not data:
            self._fail(failures.closed_early(address))
            return
        reader = self.connection.reader
        self.answers += reader.feed(data)
        if reader.error is not None:
            self._fail(failures.out_of_step(address, reader.error))
        elif len(self.answers) >= self._expected:
            is_in_step = len(self.answers) == self._expected and reader.is_between_answers and self._stage == READING
            if is_in_step:
                self._stage = DONE
            else:
                self._fail(failures.out_of_step(address, "more than it was asked for"))

    def _fail(self, error: ClusterError) -> None:
        self.error = error
        self._stage = DONE
        self.connection.close(error)


def exchange(transfers: Sequence[Transfer], options: Options, started: float) -> None:
    """Carry all of them as far as the time allows; each then says how it went.

    Args:
        started: when the time began, by `time.monotonic`.
    """
    try:
        for transfer in transfers:
            transfer.start()
        waiting = [transfer for transfer in transfers if not transfer.is_done]
        if waiting:
            _wait(waiting, started + min(options.connect_timeout, options.timeout), started + options.timeout)
    except BaseException:
        # Interrupted, by Ctrl-C perhaps: what hangs in the middle would be out of step ever after.
        for transfer in transfers:
            transfer.give_up()
        raise


def _wait(waiting: list[Transfer], connected_by: float, done_by: float) -> None:
    with _Selector() as selector:
        for transfer in waiting:
            selector.register(transfer.fileno(), transfer.events, transfer)
        while waiting:
            now = time.monotonic()
            for transfer in waiting:
                if now >= (connected_by if transfer.is_connecting else done_by):
                    selector.unregister(transfer.fileno())
                    transfer.time_out()
            waiting = [transfer for transfer in waiting if not transfer.is_done]
            if not waiting:
                return
            limit = connected_by if any(transfer.is_connecting for transfer in waiting) else done_by
            for key, _ in selector.select(max(limit - now, 0)):
                transfer = key.data
                transfer.advance()
                if transfer.is_done:
                    selector.unregister(key.fd)
                elif transfer.events != key.events:
                    selector.modify(key.fd, transfer.events, transfer)
            waiting = [transfer for transfer in waiting if not transfer.is_done]

"""A blocking client's connection to a gateway: a socket that is kept, and what it takes to trust it again."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading

from tidegate.client import failures
from tidegate.client.answer_reader import AnswerReader
from tidegate.client.ledger import Ledger
from tidegate.client.sockets import make_socket, split_address
from tidegate.errors import ClusterError

__all__ = ["Connection"]

_numbers = itertools.count()


class Connection:
    """One connection to a gateway, perhaps not opened yet or not any more.

    Attributes:
        address: the gateway's ``host:port``.
        number: those who lock several do it in this order, so that nobody waits for each other.
        lock: held while it is used.
        sock: non-blocking; None while it is closed.
        reader: finds the answers in what comes.
    """

    __slots__ = ("__weakref__", "_ledger", "address", "lock", "number", "reader", "sock")

    def __init__(self, address: str, ledger: Ledger[Connection]) -> None:
        self.address = address
        self.number = next(_numbers)
        self.lock = threading.Lock()
        self.sock: socket.socket | None = None
        self.reader = AnswerReader()
        self._ledger = ledger

    def __del__(self) -> None:
        if self.sock is not None:
            self.sock.close()

    def open(self) -> socket.socket:
        """Begin to connect; the socket is writable once that is done.

        Raises:
            OSError: it can't be reached.
        """
        sock = self.sock = make_socket()
        self.reader = AnswerReader()
        with contextlib.suppress(BlockingIOError):
            sock.connect(split_address(self.address))
        return sock

    def is_alive(self) -> bool:
        """Whether it is open and the gateway has neither ended it nor sent anything unasked."""
        if self.sock is None:
            return False
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close_if_dead(self) -> bool:
        """Close it where it can't be used any more; gives whether it is closed."""
        if self.is_alive():
            return False
        self.close(failures.closed_unasked(self.address))
        return True

    def send_now(self, data: bytes) -> int:
        """Send what can be sent without waiting; gives how many bytes, 0 also where it can't be trusted."""
        if not self.is_alive():
            return 0
        assert self.sock is not None
        try:
            sent = self.sock.send(data)
        except OSError:
            return 0
        self._ledger.use(self)
        return sent

    def use(self) -> None:
        """Something is about to be written."""
        self._ledger.use(self)

    def confirm(self) -> None:
        """All that was written has been processed."""
        self._ledger.confirm(self)

    def close(self, error: ClusterError | None = None) -> None:
        """Close it; an error says that what was written may be lost."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        sock.close()
        if error is not None:
            self._ledger.broke(self, error)
        else:
            self._ledger.confirm(self)

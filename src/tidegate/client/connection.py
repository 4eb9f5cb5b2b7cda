"""A blocking client's connection to a gateway, which its threads share: a socket that is kept, and whose turn it is.

Threads hold the lock for single steps, which never wait for the gateway; while they wait for it they are in a queue.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tidegate.client import failures
from tidegate.client.ledger import Ledger
from tidegate.client.questions import Question, Questions
from tidegate.client.secure import SecureSocket
from tidegate.client.sockets import make_socket, split_address, watch
from tidegate.cluster.trust import Trust
from tidegate.errors import ClusterError

__all__ = ["Connection", "Link"]


class Member(Question, Protocol):
    """Who has a place in a queue."""

    def fail(self, error: ClusterError) -> None: ...
    def wake(self) -> None: ...


class Link:
    """A socket to a gateway, and who waits for answers on it.

    Its socket is closed when the last who has it lets go: while one thread gives it up another may be waiting for it,
    and its number must not come to mean another socket meanwhile.

    Args:
        trust: for TLS.

    Attributes:
        questions: of those who wait.
        error: why it was given up.
        send, recv: the socket's, or what does the same by TLS.
        events: what has to be waited for until it is open.
    """

    __slots__ = ("_has_come", "_secure", "_sock", "_trust", "error", "events", "questions", "recv", "send")

    def __init__(self, trust: Trust | None) -> None:
        self._sock = make_socket()
        self._trust = trust
        self._secure: SecureSocket | None = None
        self._has_come = watch(self._sock)
        self.send: Callable[[bytes | memoryview], int] = self._sock.send
        self.recv: Callable[[int], bytes] = self._sock.recv
        self.events = selectors.EVENT_WRITE
        self.questions: Questions[Member] = Questions()
        self.error: ClusterError | None = None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # the system had none left
            self._sock.close()

    def fileno(self) -> int:
        """The socket's, for waiting."""
        return self._sock.fileno()

    def connect(self, address: str) -> None:
        """Begin to connect.

        Raises:
            OSError: it can't be reached.
        """
        with contextlib.suppress(BlockingIOError):
            self._sock.connect(split_address(address))

    def open(self) -> bool:
        """Go on once the socket is ready for `events`; gives whether it is open.

        Raises:
            OSError: it can't be reached, or there is no TLS with it.
        """
        if self._secure is None:
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, "")
            if self._trust is None:
                return True
            secure = self._secure = SecureSocket(self._sock, self._trust.context())
            self._sock, self.send, self.recv = secure.sock, secure.send, secure.recv
        self.events = self._secure.greet()
        return not self.events

    def shut(self) -> None:
        """End it; whoever waits for the socket wakes up."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # TLS's own would lay the rest open as plain text

    def is_alive(self) -> bool:
        """Whether the gateway has neither ended it nor sent anything unasked."""
        if not self._has_come():
            return True
        try:
            # Past TLS, which has nothing to say unasked either, but for its end.
            return socket.socket.recv(self._sock, 1, socket.MSG_PEEK) != b"" and bool(self.questions.waiting)
        except BlockingIOError:
            return True
        except OSError:
            return False


class Connection:
    """All that this client and process has to do with one gateway; every method is for who holds the lock.

    Attributes:
        address: the gateway's ``host:port``.
        lock: re-entered where a signal's handler pushes; `with` alone takes it, which no exception can come between.
        link: None while there is none.
        writers: who has something to send that could not leave at once; the first of them connects and writes.
    """

    __slots__ = ("_ledger", "_trust", "address", "link", "lock", "writers")

    def __init__(self, address: str, ledger: Ledger, trust: Trust | None) -> None:
        self.address = address
        self.lock = threading.RLock()
        self.link: Link | None = None
        self.writers: deque[Member] = deque()
        self._ledger = ledger
        self._trust = trust

    @property
    def is_idle(self) -> bool:
        """Whether nobody is waiting for it."""
        return not self.writers and (self.link is None or not self.link.questions.waiting)

    def open(self) -> Link:
        """Begin to connect.

        Raises:
            OSError: it can't be reached.
        """
        link = Link(self._trust)
        link.connect(self.address)
        self.link = link
        return link

    def usable(self) -> Link | None:
        """The link, if there is one that can be used; one that can't be any more is given up."""
        link = self.link
        if link is None or link.is_alive():
            return link
        self.give_up((failures.closed_early if link.questions.waiting else failures.closed_unasked)(self.address))
        return None

    def send_now(self, data: bytes) -> int:
        """Send what can be sent without waiting for anybody; gives how many bytes."""
        link = self.link
        if link is None or self.writers or not link.is_alive():
            return 0
        try:
            sent = link.send(data)
        except OSError:
            return 0
        self._ledger.use(self.address)
        return sent

    def use(self) -> int:
        """Something was written; gives its number in the ledger."""
        return self._ledger.use(self.address)

    def give_up(self, error: ClusterError) -> None:
        """Close the link: what was written may be lost, and answers won't come."""
        link, self.link = self.link, None
        if link is None:
            return
        link.error = error
        self._ledger.broke(self.address, error)
        link.shut()
        for member in tuple(link.questions.waiting):
            member.fail(type(error)(str(error)))
        link.questions.waiting.clear()

    def close(self) -> None:
        """Close the link in good order, unless somebody still waits on it, who does it then by letting go."""
        if self.is_idle:
            self.link = None

    def leave(self, member: Member) -> None:
        """Give the place among those who write to the next."""
        if member in self.writers:
            self.writers.remove(member)
            if self.writers:
                self.writers[0].wake()

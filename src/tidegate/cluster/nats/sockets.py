"""A connection to a NATS server for threads: a socket that never blocks, and what is found in what it brings.

Whoever calls a method of it, but to wait, holds the lock of its client: TLS bears one caller at a time.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import ssl
import time

from tidegate.cluster.nats.auth import make_tls_context
from tidegate.cluster.nats.handshake import Handshake
from tidegate.cluster.nats.protocol import Event, Info, Parser
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.cluster.reasons import reason_of
from tidegate.errors import ClusterError, ClusterTimeoutError

__all__ = ["NatsSocket", "open_socket"]

READ_SIZE = 256 * 1024
WRITE_SIZE = 256 * 1024
"""Bytes that are written at once: TLS insists on being given the same again, or more, where it could not write them."""
USER_TIMEOUT_MS = 3000
"""Until the system gives up a connection on which what was sent is not confirmed."""

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class NatsSocket:
    """One connection, on which the handshake is done.

    It is closed when the last who has it lets go: while one thread gives it up another may be waiting for it, and its
    number must not come to mean another socket meanwhile.

    Attributes:
        info: what the server said of itself.
    """

    __slots__ = ("_has_come", "_heard", "_left", "_parser", "_sock", "info", "server")

    def __init__(self, sock: socket.socket, server: Server, info: Info, parser: Parser) -> None:
        self.server = server
        self.info = info
        self._sock = sock
        self._parser = parser
        self._heard = False
        self._left = bytearray()  # of what was written, that the system has not taken
        self._has_come = select.poll() if hasattr(select, "poll") else None
        if self._has_come is not None:
            self._has_come.register(sock, select.POLLIN)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._sock.close()

    @property
    def left(self) -> int:
        """Bytes that wait to leave."""
        return len(self._left)

    def write(self, data: bytes) -> None:
        """Have bytes leave behind those that wait.

        Raises:
            OSError: the connection is broken.
        """
        if not self._left and data:
            sent = self._send(data[:WRITE_SIZE])
            if sent == len(data):
                return
            data = data[sent:]
        self._left += data
        while self._left:
            sent = self._send(self._left[:WRITE_SIZE])
            if not sent:
                return
            del self._left[:sent]

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def has_come(self) -> bool:
        """Whether there may be something to read, the end among it."""
        try:
            return self._has_come is None or bool(self._has_come.poll(0))
        except RuntimeError:  # a signal's handler asks, in the middle of this very question
            return True

    def has_heard(self) -> bool:
        """Whether anything was read since this was asked last, be it a part of a message."""
        heard, self._heard = self._heard, False
        return heard

    def read(self) -> list[Event]:
        """All that has come.

        Raises:
            OSError: the connection is broken, or the server broke the rules.
        """
        events: list[Event] = []
        while True:
            try:
                data = self._sock.recv(READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return events
            if not data:
                raise ClusterError("it hung up")
            self._heard = True
            events += self._parser.feed(data)
            if self._parser.error is not None:
                raise ClusterError(f"it sent {self._parser.error}")

    def wait(self, seconds: float) -> None:
        """Until there is something to read."""
        self._wait(selectors.EVENT_READ, seconds)

    def wait_for_room(self, seconds: float) -> None:
        """Until something of what waits can leave."""
        self._wait(selectors.EVENT_WRITE, seconds)

    def _wait(self, events: int, seconds: float) -> None:
        with _Selector() as selector, contextlib.suppress(ValueError):  # it was given up
            selector.register(self._sock, events)
            selector.select(max(seconds, 0))

    def give_up(self) -> None:
        """Have whoever waits for it wake up, and close it once nobody does."""
        with contextlib.suppress(OSError, ValueError):
            self._sock.shutdown(socket.SHUT_RDWR)


def open_socket(place: NatsPlace, server: Server, name: str, seconds: float) -> NatsSocket:
    """Connect and shake hands; blocking.

    Raises:
        ClusterError: the server can't be reached, or refuses.
        ConfigurationError: the client has not what it needs to come in.
    """
    deadline = time.monotonic() + seconds
    handshake, parser = Handshake(place, server, name), Parser()
    try:
        sock = socket.create_connection((server.host, server.port), seconds)
    except OSError as error:
        raise _explain(server, error, seconds) from error
    try:
        _prepare(sock)
        _shake(sock, server, handshake, parser, deadline)
        if handshake.wants_tls:
            if parser.is_amid:  # it was said in the clear, and would count as said in secret
                raise ClusterError(f"NATS server {server} spoke out of turn: what listens there is none")
            sock = make_tls_context(place.files).wrap_socket(sock, server_hostname=server.tls_name)
            sock.sendall(handshake.secured())
            _shake(sock, server, handshake, parser, deadline)
    except ClusterError:
        sock.close()
        raise
    except TimeoutError:
        sock.close()
        raise ClusterTimeoutError(handshake.missing) from None
    except OSError as error:
        sock.close()
        raise _explain(server, error, seconds) from error
    except BaseException:
        sock.close()
        raise
    assert handshake.info is not None
    sock.setblocking(False)
    return NatsSocket(sock, server, handshake.info, parser)


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def _shake(sock: socket.socket, server: Server, handshake: Handshake, parser: Parser, deadline: float) -> None:
    """Go on with the handshake until it is done or needs TLS."""
    while not handshake.is_done and not handshake.wants_tls:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        data = sock.recv(READ_SIZE)
        if not data:
            raise ClusterError(f"NATS server {server} hung up at once")
        for event in parser.feed(data):
            answer = handshake.take(event)
            if answer:
                sock.sendall(answer)
        if parser.error is not None:
            raise ClusterError(f"NATS server {server} sent {parser.error}: what listens there is none")


def _explain(server: Server, error: OSError, seconds: float) -> ClusterError:
    if isinstance(error, TimeoutError):
        return ClusterTimeoutError(f"NATS server {server} was not reached within {seconds:g} s")
    if isinstance(error, ssl.SSLError):
        return ClusterError(f"NATS server {server}: TLS failed: {getattr(error, 'verify_message', '') or error.reason}")
    return ClusterError(f"NATS server {server} can't be reached: {reason_of(error)}")

"""TLS over a socket that never blocks, for threads that take turns.

Whatever it does is one call into OpenSSL: a signal's handler, which Python runs between calls, finds no half of
anything. Nor does a process that was forked: it lets go of its copy, and nothing is sent by that.
"""

from __future__ import annotations

import selectors
import socket
import ssl

__all__ = ["SecureSocket"]


class SecureSocket:
    """Takes a connected socket over.

    Args:
        sock: is closed when this is.
    """

    __slots__ = ("_rest", "sock")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(sock, do_handshake_on_connect=False)
        self._rest: bytes | memoryview | None = None

    def greet(self) -> int:
        """Go on with the handshake; gives the events that have to be waited for, 0 once it is done.

        Raises:
            OSError: it fails; ssl.SSLError is one.
        """
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        return 0

    def send(self, data: bytes | memoryview) -> int:
        """As a socket's: gives how many bytes were sent, and where it is not all, it goes on with the rest of them.

        OpenSSL has begun to send what the system did not take as a whole, tells not how far it is, and wants the very
        same again. Until then one byte counts as sent.
        """
        rest = self._rest
        try:
            if rest is None:
                return self.sock.send(data)
            self.sock.send(rest)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if rest is not None:
                raise BlockingIOError from None
            self._rest = data
            return 1
        self._rest = None
        return len(rest) - 1

    def recv(self, size: int) -> bytes:
        """As a socket's; a record of TLS at the most, and nothing that has come stays behind unseen by the system."""
        try:
            return self.sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

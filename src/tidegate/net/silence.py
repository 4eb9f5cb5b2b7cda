"""Notices that the machine at the other end of a link has gone silent: it lost power, or the way to it is cut.

A process that dies is noticed at once, since its system says so. A machine that is gone says nothing, and the system
would go on sending again for a quarter of an hour. It is asked here what it knows: a process that is busy or stopped
has a system that still confirms, so that only the machine itself counts, and not how long its processes take.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

__all__ = ["SECONDS", "Watch", "watch_idle"]

SECONDS = 20.0
"""After which a silent machine counts as gone."""
PROBES = 3
"""That are not answered, of those that a link without traffic has; then the system ends it by itself."""
LEAST_SENT = 2
"""Transmissions without an answer: one may be lost on a sound network."""
INFO = struct.Struct("2x2B52xI")
"""Of Linux's tcp_info: what was sent again, window and idle probes, and milliseconds since anything was confirmed."""
HAS_INFO = sys.platform == "linux"
SIOCOUTQ = 0x5411


def watch_idle(sock: socket.socket) -> None:
    """Have the system ask a silent other side, on this connection or on those that a listening socket takes."""
    seconds = max(1, int(SECONDS / (PROBES + 1)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", seconds), ("TCP_KEEPINTVL", seconds), ("TCP_KEEPCNT", PROBES)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Watch:
    """Looks after one connection, where the system tells (Linux).

    A side that does not read is asked more and more rarely whether it has room: how long ago it has confirmed something
    says little then. So what was sent since then counts too.

    Attributes:
        unconfirmed: bytes that the system had sent or was to send, and that were not confirmed at the last look.
    """

    __slots__ = ("_before", "_looked", "_socket", "unconfirmed")

    def __init__(self, sock: socket.socket) -> None:
        self.unconfirmed = 0
        self._socket = sock
        self._looked = time.monotonic()
        self._before = 0

    def is_silent(self) -> bool:
        """Look; gives whether the other machine has confirmed nothing for `SECONDS`, though it was asked to."""
        if not HAS_INFO:
            return False
        import fcntl

        again, probes, milliseconds = INFO.unpack(
            self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, INFO.size)
        )
        self.unconfirmed = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), SIOCOUTQ, bytes(4)))[0]
        now = time.monotonic()
        sent = again + probes
        if milliseconds < (now - self._looked) * 1000:
            self._before = sent
        self._before = min(self._before, sent)
        self._looked = now
        return bool(milliseconds >= SECONDS * 1000 and sent - self._before >= LEAST_SENT)

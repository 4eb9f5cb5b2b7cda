"""The servers of a NATS cluster: those that the user named and those that they name, and which is tried next."""

from __future__ import annotations

import ipaddress
import random
import socket
from collections.abc import Sequence

from tidegate.cluster.nats.url import NatsPlace, Server

__all__ = ["Backoff", "ServerPool"]

MAX_LEARNED = 256


class ServerPool:
    """Goes round the servers, each client in an order of its own, so that they share the clients.

    One of the same machine comes first: what is beside each other stays together where the machine is cut off.
    """

    __slots__ = ("_given", "_goes_round", "_learned", "_round")

    def __init__(self, place: NatsPlace) -> None:
        self._given = place.servers
        self._goes_round = place.goes_round
        self._learned: tuple[Server, ...] = ()
        self._round: list[Server] = []

    @property
    def servers(self) -> tuple[Server, ...]:
        """All that are known."""
        return tuple(dict.fromkeys((*self._given, *self._learned)))

    def learn(self, urls: Sequence[str], of: Server) -> None:
        """A server has said which there are; those that it leaves out are gone, unless the user named them."""
        if not self._goes_round:
            return
        known = {(server.host, server.port) for server in self._given}
        found = (_read_place(url, of) for url in urls)
        new = [server for server in found if server is not None and (server.host, server.port) not in known]
        self._learned = tuple(dict.fromkeys(new))[:MAX_LEARNED]

    @property
    def left(self) -> int:
        """How many come in this round."""
        return len(self._round)

    def next(self) -> Server | None:
        """The next one of this round; None at its end."""
        if self._round:
            return self._round.pop()
        return None

    def begin(self, last: Server | None = None) -> None:
        """Begin a round, in which the server that was lost just now comes last."""
        self._round = list(self.servers)
        random.shuffle(self._round)
        self._round.sort(key=lambda server: _is_here(server.host))  # it is gone through from the end
        if last in self._round:
            self._round.remove(last)
            self._round.insert(0, last)


def _is_here(host: str) -> bool:
    """Whether an address is this machine's; a name may be anybody's."""
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True


def _read_place(url: str, of: Server) -> Server | None:
    """A ``host:port`` that a server named; the name in its certificate is that of the one which was asked."""
    host, _, port = url.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        return None
    return Server(host, int(port), of.tls_name)


class Backoff:
    """Seconds to wait between rounds: more and more, and never the same for two clients."""

    __slots__ = ("_next",)

    FIRST, MOST = 0.1, 2.0

    def __init__(self) -> None:
        self._next = self.FIRST

    def seconds(self) -> float:
        """Until the next round."""
        base, self._next = self._next, min(self._next * 2, self.MOST)
        return base * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """There was a connection."""
        self._next = self.FIRST

"""Who announced which gateway, and who is told of them (wire protocol, "Register"). No I/O: lines in, lines out.

As many gateways and listeners are kept as there are connections.
"""

from __future__ import annotations

import hmac
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from tidegate.errors import ProtocolError
from tidegate.wire.register_line import broadcast_addresses, is_gateway_address, parse_line

__all__ = ["Table"]

P = TypeVar("P", bound=Hashable)


class Table(Generic[P]):
    """What one Register knows of its peers, each known by its connection.

    Args:
        secret_key: that each has to name.
        is_settling: hold the lists back until `settle`, so that nobody is told of half the gateways.
    """

    def __init__(self, secret_key: str, is_settling: bool = False) -> None:
        self._secret = _encode(secret_key)
        self._is_settling = is_settling
        self._gateways: dict[P, str] = {}
        # An address's connections, the newest last, and whether that is Tidegate's: of an old one the end may not have
        # been noticed yet.
        self._announced: dict[str, dict[P, bool]] = {}
        self._workers: dict[P, bytes | None] = {}  # with the line that each was sent last
        self._line: bytes | None = None  # the list as it is, once it was asked for

    @property
    def gateways(self) -> int:
        """Addresses announced."""
        return len(self._announced)

    @property
    def workers(self) -> int:
        """Peers that are told of them."""
        return len(self._workers)

    def knows(self, peer: P) -> bool:
        """Whether a peer has said what it is."""
        return peer in self._gateways or peer in self._workers

    def receive(self, peer: P, line: str | bytes) -> bytes | None:
        """Take a line; gives the answer, where there is one now.

        Raises:
            ProtocolError: it is none that may be; the connection is to be closed.
        """
        message = parse_line(line)
        match message["event"]:
            case "ping":
                return None
            case "gateway_connect":
                self._check(peer, message, self._workers)
                self._announce(peer, message)
                return None
            case "worker_connect":
                self._check(peer, message, self._gateways)
                self._workers[peer] = None
                return None if self._is_settling else self._answer(peer)
            case event:
                raise ProtocolError(f"the unknown event {event[:40]!r}")

    def leave(self, peer: P) -> None:
        """Forget a peer whose connection is closed."""
        self._workers.pop(peer, None)
        address = self._gateways.pop(peer, None)
        if address is None:
            return
        peers = self._announced[address]
        del peers[peer]
        if not peers:
            del self._announced[address]
        self._line = None

    def settle(self) -> None:
        """Hold nothing back any more."""
        self._is_settling = False

    def take_news(self) -> tuple[list[P], bytes]:
        """The list as it is, and who has not been sent it; from then on it counts as sent."""
        line = self._current()
        if self._is_settling:
            return [], line
        peers = [peer for peer, sent in self._workers.items() if sent != line]
        for peer in peers:
            self._workers[peer] = line
        return peers, line

    def _check(self, peer: P, message: dict[str, Any], others: dict[P, Any]) -> None:
        secret = message.get("secret_key", "")
        if not isinstance(secret, str) or not hmac.compare_digest(_encode(secret), self._secret):
            raise ProtocolError("a wrong secret_key")
        if peer in others:
            raise ProtocolError("a connection that would be a gateway's and a worker's")

    def _announce(self, peer: P, message: dict[str, Any]) -> None:
        address = message.get("address")
        if not isinstance(address, str) or not is_gateway_address(address):
            raise ProtocolError("a gateway's address that is no dotted quad with a port")
        self.leave(peer)  # the address that it had announced
        self._gateways[peer] = address
        self._announced.setdefault(address, {})[peer] = bool(message.get("tidegate"))
        self._line = None

    def _answer(self, peer: P) -> bytes:
        line = self._workers[peer] = self._current()
        return line

    def _current(self) -> bytes:
        if self._line is None:
            ours = [address for address, peers in self._announced.items() if next(reversed(peers.values()))]
            self._line = broadcast_addresses(self._announced, ours)
        return self._line


def _encode(secret: str) -> bytes:
    """Bytes, which can be compared in constant time whatever the text has in it."""
    return secret.encode("utf-8", "surrogatepass")

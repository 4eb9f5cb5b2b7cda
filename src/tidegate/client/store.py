"""The connections that a blocking client keeps, one to a gateway for all threads.

So whatever has returned is carried out before what is called next, in whichever threads: of two connections a gateway
may read the later one first.
"""

from __future__ import annotations

import threading

from tidegate.client.connection import Connection
from tidegate.client.ledger import Ledger
from tidegate.cluster.trust import Trust
from tidegate.errors import ClusterError

__all__ = ["ConnectionStore"]


class ConnectionStore:
    """All connections of one client in one process.

    Args:
        trust: for TLS.
    """

    __slots__ = ("_connections", "_thread", "_trust", "ledger")

    def __init__(self, trust: Trust | None) -> None:
        self._trust = trust
        self.ledger = Ledger()
        self._connections: dict[str, Connection] = {}
        self._thread = threading.local()

    def connection(self, address: str) -> Connection:
        """The one to this gateway; perhaps it is not open yet."""
        connection = self._connections.get(address)
        if connection is None:
            connection = self._connections.setdefault(address, Connection(address, self.ledger, self._trust))
        return connection

    def find(self, address: str) -> Connection | None:
        """The one to this gateway, if there is any."""
        return self._connections.get(address)

    def is_open(self, address: str) -> bool:
        """Whether there is a connection to this gateway that was opened."""
        connection = self._connections.get(address)
        return connection is not None and connection.link is not None

    def has(self, connection: Connection) -> bool:
        """Whether it has not been forgotten meanwhile; sure only for who holds its lock."""
        return self._connections.get(connection.address) is connection

    def forget_unused(self, connection: Connection) -> None:
        """A gateway may be gone for good, and client ids name as many as anybody likes."""
        with connection.lock:
            if connection.link is None and not connection.writers and self.has(connection):
                del self._connections[connection.address]

    def tidy(self) -> None:
        """Close what gateways have ended: one that is gone for good is never used again, nor looked at."""
        for connection in list(self._connections.values()):
            with connection.lock:
                if not connection.writers:
                    connection.usable()
            self.forget_unused(connection)

    def close(self) -> None:
        """Close all; those that somebody waits on when he is served."""
        for connection in list(self._connections.values()):
            with connection.lock:
                connection.close()

    def enter(self) -> None:
        """The calling thread makes a call; of what others were told before its first it needs not be told."""
        if not hasattr(self._thread, "told"):
            self._thread.told = self.ledger.told

    def tell(self) -> list[ClusterError]:
        """What broke since the calling thread was told last."""
        breaks, self._thread.told = self.ledger.tell(self._thread.told)
        return breaks

"""The connections that a blocking client keeps: which thread has which, and which are free.

A connection belongs to a thread for as long as that lives, so that its commands stay in order. What a thread leaves
behind is there for the next: a server that makes a thread for each request opens no connections for each.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable

from tidegate.client import failures
from tidegate.client.connection import Connection
from tidegate.client.ledger import Ledger

__all__ = ["ConnectionStore", "Lease", "lock", "unlock"]

MAX_SPARE = 256
"""Connections that wait for a thread, to all gateways together."""


class Lease:
    """What one thread has; with the thread's end it goes back.

    Attributes:
        connections: by the gateway's address.
        told: how many breaks the thread needs not be told of any more.
    """

    __slots__ = ("_store", "connections", "told")

    def __init__(self, store: ConnectionStore) -> None:
        # Weak, so that a client that nobody has any more goes away at once, its sockets with it.
        self._store = weakref.ref(store)
        self.connections: dict[str, Connection] = {}
        self.told = store.ledger.told

    def __del__(self) -> None:
        store = self._store()
        if store is not None:
            for connection in self.connections.values():
                store.give_back(connection)


class ConnectionStore:
    """All connections of one client in one process.

    Every step is one operation of a dict, since threads end, and their leases with them, at any moment.
    """

    __slots__ = ("__weakref__", "_all", "_local", "_spare", "ledger")

    def __init__(self) -> None:
        self.ledger: Ledger[Connection] = Ledger()
        self._local = threading.local()
        self._all: dict[Connection, None] = {}
        self._spare: OrderedDict[Connection, None] = OrderedDict()

    @property
    def lease(self) -> Lease:
        """The calling thread's."""
        try:
            lease: Lease = self._local.lease
        except AttributeError:
            lease = self._local.lease = Lease(self)
        return lease

    def connection(self, address: str) -> Connection:
        """The calling thread's to a gateway; perhaps it is not open yet."""
        connections = self.lease.connections
        connection = connections.get(address)
        if connection is None:
            connection = connections[address] = self._spare_to(address) or Connection(address, self.ledger)
            self._all[connection] = None
        return connection

    def has_open(self, address: str) -> bool:
        """Whether the calling thread has one to this gateway that was opened."""
        connection = self.lease.connections.get(address)
        return connection is not None and connection.sock is not None

    def drop(self, connection: Connection) -> None:
        """The calling thread's is closed for good."""
        self.lease.connections.pop(connection.address, None)
        self._all.pop(connection, None)

    def give_back(self, connection: Connection) -> None:
        """A thread that ended had it."""
        self._spare[connection] = None
        while len(self._spare) > MAX_SPARE:
            try:
                surplus, _ = self._spare.popitem(last=False)
            except KeyError:
                return
            if not surplus.lock.acquire(blocking=False):  # being flushed
                self._spare[surplus] = None
                return
            surplus.close(failures.not_confirmed(surplus.address))
            surplus.lock.release()
            self._all.pop(surplus, None)

    def tidy(self) -> None:
        """Close what gateways have ended: one that is gone for good is never used again, nor looked at."""
        for connection in list(self._all):
            if not connection.lock.acquire(blocking=False):
                continue
            try:
                is_closed = connection.close_if_dead()
            finally:
                connection.lock.release()
            if is_closed and self._spare.pop(connection, self) is not self:
                self._all.pop(connection, None)
        for connection in list(self.lease.connections.values()):
            if connection.sock is None:
                self.drop(connection)

    def close(self, seconds: float) -> None:
        """Close all, waiting so long for those who use them."""
        locked = lock(list(self._all), time.monotonic() + seconds)
        for connection in locked:
            connection.close()
        unlock(locked)
        self._all.clear()

    def _spare_to(self, address: str) -> Connection | None:
        for connection in tuple(self._spare):
            if connection.address == address and self._spare.pop(connection, self) is not self:
                return connection
        return None


def lock(connections: Iterable[Connection], until: float) -> list[Connection]:
    """Lock all of them, in the one order that everybody keeps to; gives those that could be had in time.

    Args:
        until: when it is too late, by `time.monotonic`.
    """
    locked: list[Connection] = []
    try:
        for connection in sorted(connections, key=lambda each: each.number):
            if connection.lock.acquire(timeout=max(until - time.monotonic(), 0)):
                locked.append(connection)
    except BaseException:
        unlock(locked)
        raise
    return locked


def unlock(connections: Iterable[Connection]) -> None:
    """Let others have them."""
    for connection in connections:
        connection.lock.release()

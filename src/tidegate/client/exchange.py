"""Sending to several gateways at once and gathering what they answer, all within one time limit.

A gateway that is slow, gone or mad costs the others nothing, and its own failure is told apart. Other threads may be at
the same on the same connections: no lock is held while a thread waits.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping, Sequence

from tidegate.client import failures
from tidegate.client.connection import Connection
from tidegate.client.options import Options
from tidegate.client.store import ConnectionStore
from tidegate.client.transfer import Transfer
from tidegate.client.waker import Waker

__all__ = ["exchange", "send"]

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def send(groups: Mapping[str, Sequence[bytes]], store: ConnectionStore, options: Options) -> list[Transfer]:
    """Send commands, which no gateway answers; gives those that could not leave at once, as they went in the end.

    Most can: the connection is warm, and nobody waits there. They cost no more than is needed to know that.

    Args:
        groups: the packets for each gateway.
    """
    transfers: list[Transfer] = []
    connection: Connection | None = None
    try:
        for address, packets in groups.items():
            data = packets[0] if len(packets) == 1 else b"".join(packets)
            connection = store.connection(address)
            with connection.lock:
                sent = connection.send_now(data)
                if sent == len(data):
                    continue
                transfer = Transfer(connection, (data,), False, options, sent=sent)
                transfers.append(transfer)
                if sent:
                    connection.writers.append(transfer)
        connection = None
        if transfers:
            exchange(transfers, store, options)
    except BaseException:
        _interrupt(transfers)
        if connection is not None:
            with connection.lock:
                connection.give_up(failures.interrupted(connection.address))  # perhaps it has sent a part
        raise
    return transfers


def exchange(transfers: Sequence[Transfer], store: ConnectionStore, options: Options) -> None:
    """Carry all of them as far as the time allows; each then says how it went."""
    done_by = time.monotonic() + options.timeout
    try:
        for transfer in transfers:
            if transfer.is_new:
                _begin(transfer, store)
        _carry(transfers, done_by)
    except BaseException:
        _interrupt(transfers)
        raise
    finally:
        for transfer in transfers:
            transfer.let_go()
            store.forget_unused(transfer.connection)


def _interrupt(transfers: Sequence[Transfer]) -> None:
    """By Ctrl-C perhaps: nobody is to wait for a turn behind what goes on no more."""
    for transfer in transfers:
        with transfer.connection.lock:
            transfer.give_up(failures.interrupted(transfer.address))


def _begin(transfer: Transfer, store: ConnectionStore) -> None:
    while True:
        connection = transfer.connection
        with connection.lock:
            if store.has(connection):
                connection.writers.append(transfer)
                transfer.advance()
                return
        transfer.connection = store.connection(connection.address)


def _carry(transfers: Sequence[Transfer], done_by: float) -> None:
    waiting = [transfer for transfer in transfers if not transfer.is_done]
    if not waiting:
        return
    waker = Waker()
    try:
        while waiting:
            _wait(waiting, waker, done_by)
            waiting = [transfer for transfer in waiting if not transfer.is_done]
    finally:
        waker.close()


def _wait(waiting: Sequence[Transfer], waker: Waker, done_by: float) -> None:
    """Until one of them can go on, or its time is over."""
    resting, seconds = [], done_by - time.monotonic()
    with _Selector() as selector:
        for transfer in waiting:
            with transfer.connection.lock:
                _prepare(transfer, waker, done_by)
                events = transfer.events
                # Another thread may have read its answer meanwhile.
                seconds = 0 if transfer.is_done else min(seconds, transfer.seconds_left(done_by))
            if events:
                selector.register(transfer.fileno(), events, transfer)
            else:
                resting.append(transfer)
        if waker.is_open:
            selector.register(waker, selectors.EVENT_READ)
        found = selector.select(max(seconds, 0)) if selector.get_map() else ()  # Windows refuses to wait for nothing
    ready = [key.data for key, _ in found]
    if None in ready:
        waker.clear()
        ready += resting
    for transfer in ready:
        if transfer is not None:
            with transfer.connection.lock:
                transfer.advance()


def _prepare(transfer: Transfer, waker: Waker, done_by: float) -> None:
    if transfer.seconds_left(done_by) <= 0:
        transfer.time_out()
    elif transfer.waits_for_turn and transfer.waker is None:
        try:
            waker.open()
        except OSError as error:
            transfer.give_up(failures.failed(transfer.address, error))
            return
        transfer.waker = waker
        transfer.advance()  # its turn may have come when nobody could wake it yet

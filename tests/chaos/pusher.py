"""A program elsewhere that pushes: it numbers what it sends to each target, and notes what it was told is in doubt."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from tests.chaos.records import Connection, Stream
from tidegate import GatewayClient
from tidegate.errors import TidegateError

__all__ = ["Pusher"]

BETWEEN_FLUSHES = 20
PAUSE = 0.01
"""Seconds between two messages, on average."""


class Pusher:
    """A thread with a blocking push client.

    Args:
        cluster: where Register is.
        clients: gives those that are there.

    Attributes:
        streams: by their name: ``all``, ``room``, ``u7`` for a uid, ``@…`` for a client id.
        raised: how often each error was.
        flushes: that returned.
    """

    def __init__(self, cluster: str, clients: Callable[[], Sequence[Connection]]) -> None:
        self.streams: defaultdict[str, Stream] = defaultdict(Stream)
        self.raised: Counter[str] = Counter()
        self.flushes = 0
        self._cluster = cluster
        self._clients = clients
        self._over = threading.Event()
        self._unflushed: list[tuple[str, int]] = []
        self._thread = threading.Thread(target=self._work, name="pusher")
        self.problem: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what was sent is flushed."""
        self._over.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def _work(self) -> None:
        try:
            with GatewayClient(self._cluster) as push:
                while not self._over.is_set():
                    self._push(push)
                    if len(self._unflushed) >= BETWEEN_FLUSHES:
                        self._flush(push)
                    time.sleep(random.uniform(0, 2 * PAUSE))
                self._flush(push)
        except BaseException as error:
            self.problem = error

    def _push(self, push: GatewayClient) -> None:
        clients = [client for client in tuple(self._clients()) if client.base is not None]
        if not clients:
            return
        client = random.choice(clients)
        uid = f"u{client.name.partition('.')[0]}"
        name = random.choice(("all", "room", uid, f"@{client.client_id}"))
        stream = self.streams[name]
        stream.sent += 1
        text = f"{name} {stream.sent} -"
        try:
            if name == "all":
                push.send_to_all(text)
            elif name == "room":
                push.send_to_group("room", text)
            elif name == uid:
                push.send_to_uid(uid, text)
            else:
                push.send_to_client(client.client_id, text)
        except TidegateError as error:
            self.raised[type(error).__name__] += 1
            stream.doubtful.add(stream.sent)
        else:
            self._unflushed.append((name, stream.sent))

    def _flush(self, push: GatewayClient) -> None:
        unflushed, self._unflushed = self._unflushed, []
        try:
            push.flush()
        except TidegateError as error:
            self.raised[f"flush: {type(error).__name__}"] += 1
            for name, number in unflushed:
                self.streams[name].doubtful.add(number)
        else:
            self.flushes += 1

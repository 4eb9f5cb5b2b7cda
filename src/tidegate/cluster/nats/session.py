"""What a blocking client has in one process: a connection that its threads share, and what waits on it.

Nobody waits for the server while holding the lock. Of those who wait for answers one reads, for all of them.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable

from tidegate.cluster.nats.counters import Counters
from tidegate.cluster.nats.inbox import Inbox
from tidegate.cluster.nats.parts import PART, Joiner, Splitter
from tidegate.cluster.nats.pool import ServerPool
from tidegate.cluster.nats.protocol import PING, PONG, Event, Info, Message, encode_publish, encode_subscribe
from tidegate.cluster.nats.sockets import NatsSocket, open_socket
from tidegate.cluster.nats.subjects import Subjects
from tidegate.cluster.nats.url import NatsPlace, Server
from tidegate.cluster.reasons import one_error, reason_of
from tidegate.errors import ClusterError

__all__ = ["Pong", "Session"]

IDLE_SECONDS = 60.0
"""After which a connection is opened anew: servers ask every two minutes whether a client is there, unless they are set
to ask more often."""
SLICE_SECONDS = 0.25
"""At most in one wait: where a signal's handler pushes, it may read what the wait that it interrupted is for."""
QUIET_SECONDS = 0.75
"""For which a server may say nothing while somebody waits, before it is asked whether it is there."""
GONE_SECONDS = 1.5
"""For it to say so."""


class Pong:
    """What waits for the server to have taken all that was published before.

    Attributes:
        mark: how much that was.
        error: why it won't be known.
    """

    __slots__ = ("error", "is_done", "mark")

    def __init__(self, mark: int) -> None:
        self.mark = mark
        self.is_done = False
        self.error: ClusterError | None = None


class Session:
    """Of one client in one process.

    Attributes:
        lock: re-entered where a signal's handler pushes. The fields are for who holds it.
        link: None while there is none.
        published: messages.
        breaks: connections that broke with something unconfirmed.
        connections: that were made.
        told: of how many breaks each thread was told.
        lost_at: until when the last connection that broke was heard of, as far as anybody waited for it; or when there
            was one again, where meanwhile no server could be reached.
    """

    def __init__(self, place: NatsPlace, name: str, connect_timeout: float, counters: Counters) -> None:
        sender = secrets.token_hex(8)
        self.lock = threading.RLock()
        self.link: NatsSocket | None = None
        self.inbox = Inbox(Subjects(place.namespace).inbox(sender))
        self.published = 0
        self.breaks = 0
        self.connections = 0
        self.told = threading.local()
        self.lost_at = time.monotonic()
        self._place = place
        self._name = name
        self._connect_timeout = connect_timeout
        self._counters = counters
        self._splitter = Splitter(sender)
        self._joiner = Joiner()
        self._turn = threading.Condition(self.lock)  # told when somebody has read
        self._reader = 0  # the thread that reads
        self._connecting = threading.RLock()
        self._pool = ServerPool(place)
        self._broken: Server | None = None  # on which the last connection broke
        self._was_away = False  # no server could be reached since then
        self._failures = 0  # rounds in which that was so
        self._problem = ClusterError("not tried yet")  # of the last one
        self._pongs: deque[Pong] = deque()
        self._confirmed = 0
        self._used = 0.0
        self._waits_since: float | None = None  # since when somebody waited, and nothing came
        self._probed: float | None = None  # when the server was asked whether it is there, after that

    @property
    def others(self) -> tuple[Server, ...]:
        """The servers that are known besides the one that it is connected to."""
        link = self.link
        return tuple(each for each in self._pool.servers if link is None or each != link.server)

    def split(self, limit: int, subject: str, payload: bytes, reply: str | None) -> list[bytes]:
        """The lines for a message, which may be longer than the server takes at once."""
        if len(payload) <= limit:
            return [encode_publish(subject, payload, reply)]
        parts = self._splitter.split(payload, limit)
        return [encode_publish(subject, part, reply, headers) for headers, part in parts]

    def publish(self, make: Callable[[int], list[bytes]], seconds: float) -> None:
        """Write lines in one piece.

        Args:
            make: gives them, for the server's limit.
            seconds: for the server to take them.
        """
        while True:
            link = self._connect()
            with self.lock:
                if self.link is not link:
                    continue  # another thread has given it up
                lines = make(link.info.max_payload)
                self.published += len(lines)
                self._counters.published += len(lines)
                self._write(link, b"".join(lines))
            break
        if link.left:
            self._drain(link, time.monotonic() + seconds)

    def ping(self) -> Pong | None:
        """Ask the server whether it has taken everything; None where there is no connection."""
        with self.lock:
            link = self._usable()
            if link is None:
                return None
            pong = Pong(self.published)
            self._pongs.append(pong)
            self._write(link, PING)
        return pong

    def wait(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Read, or have another thread read, until something is so; gives whether it is, in time."""
        deadline = time.monotonic() + seconds
        me = threading.get_ident()
        while True:
            link: NatsSocket | None = None
            try:
                with self.lock:
                    if is_done():
                        return True
                    left = min(deadline - time.monotonic(), SLICE_SECONDS)
                    if self.link is None or left <= 0:
                        return False
                    if self._reader not in (0, me):
                        self._turn.wait(left)
                        continue
                    self._look_after(self.link)
                    if self.link is None:
                        continue
                    self._reader = me
                    link = self.link
                link.wait(left)
            finally:
                if link is not None:
                    with self.lock:
                        self._reader = 0
                        self._read(link)
                        self._turn.notify_all()

    def _look_after(self, link: NatsSocket) -> None:
        """See that the server is there for which somebody waits."""
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        elif self._probed is None:
            if now - self._waits_since >= QUIET_SECONDS:
                self._probed = now
                self._pongs.append(Pong(self.published))
                with contextlib.suppress(ClusterError):  # then it was given up
                    self._write(link, PING)
        elif now - self._probed >= GONE_SECONDS and not link.has_come():
            self.give_up(link, f"it was silent for {now - self._waits_since:.1f} s")

    def give_up(self, link: NatsSocket | None, reason: str) -> None:
        """Close the connection: what was written may be lost, and answers won't come."""
        with self.lock:
            if link is None or self.link is not link:
                return
            self.link, self._broken = None, link.server
            self.lost_at = time.monotonic() if self._probed is None else self._probed - QUIET_SECONDS
            self._waits_since = self._probed = None
            link.give_up()
            missing = self.published - self._confirmed
            if missing:
                self._counters.unconfirmed += missing
                self._confirmed = self.published
                self.breaks += 1
            error = ClusterError(f"the connection to NATS server {link.server} broke: {reason}")
            pongs, self._pongs = self._pongs, deque()
            for pong in pongs:
                pong.error, pong.is_done = error, True
            self.inbox.fail(error)
            self._turn.notify_all()

    def abandon(self, subject: str) -> None:
        """Nobody listens to a subject any more: questions to it are not answered."""
        with self.lock:
            self.inbox.abandon(subject)

    def connect(self) -> int:
        """See that there is a connection; gives its number."""
        self._connect()
        return self.connections

    def _connect(self) -> NatsSocket:
        with self.lock:
            link = self._usable()
        if link is not None:
            return link
        failures = self._failures
        with self._connecting:
            with self.lock:
                if self.link is not None:
                    return self.link
            if self._failures != failures:  # another thread has tried while this one waited
                raise type(self._problem)(str(self._problem))
            link = self._open()
            with self.lock:
                self._pool.learn(link.info.connect_urls, link.server)
                self.link, self._used = link, time.monotonic()
                if self._was_away:
                    self.lost_at, self._was_away = self._used, False  # nobody could be heard until now
                self._counters.connections += 1
                self.connections += 1
                self._write(link, encode_subscribe(self.inbox.pattern, 1))
            return link

    def _open(self) -> NatsSocket:
        problems: list[ClusterError] = []
        self._pool.begin(self._broken)
        deadline = time.monotonic() + self._connect_timeout
        try:
            while (server := self._pool.next()) is not None:
                share = (deadline - time.monotonic()) / (self._pool.left + 1)
                try:
                    return open_socket(self._place, server, self._name, max(round(share, 2), 0.01))
                except ClusterError as error:
                    problems.append(error)
            self._was_away = True
            problem = one_error(problems)
            self._failures, self._problem = self._failures + 1, type(problem)(str(problem))
            raise problem
        finally:
            problems.clear()  # their tracebacks lead back here, and to the connection that is made

    def _usable(self) -> NatsSocket | None:
        """The connection, if there is one that can be used; one that can't be any more is given up."""
        link = self.link
        if link is None or self._reader not in (0, threading.get_ident()):
            return link  # who reads would wait in vain for what is read here
        if link.has_come():
            self._read(link)
        if time.monotonic() - self._used > IDLE_SECONDS and (not self._pongs or self._probed is not None):
            self._confirmed = self.published  # so long ago that the system would have noticed
            self.give_up(link, "it was idle")
            self._broken = None
        return self.link

    def _write(self, link: NatsSocket, data: bytes) -> None:
        try:
            link.write(data)
            self._used = time.monotonic()
        except OSError as error:
            self.give_up(link, reason_of(error))
            raise ClusterError(f"the connection to NATS server {link.server} broke: {reason_of(error)}") from error
        except BaseException:
            self.give_up(link, "it was interrupted")  # perhaps it has sent a part
            raise

    def _drain(self, link: NatsSocket, deadline: float) -> None:
        """Wait until what was written has left."""
        while True:
            left = deadline - time.monotonic()
            link.wait_for_room(min(left, SLICE_SECONDS))
            with self.lock:
                if self.link is link:
                    self._write(link, b"")
                if not link.left:
                    return
                if self.link is not link:
                    raise ClusterError(f"the connection to NATS server {link.server} broke in the middle of a message")
                if left <= 0:
                    self.give_up(link, "it does not read")

    def _read(self, link: NatsSocket) -> None:
        """Take what has come."""
        if self.link is not link:
            return
        try:
            events = link.read()
            if link.has_heard():
                self._waits_since = self._probed = None
            for event in events:
                self._take(link, event)
        except OSError as error:
            self.give_up(link, str(error) if isinstance(error, ClusterError) else reason_of(error))
        except BaseException:
            self.give_up(link, "it was interrupted")
            raise

    def _take(self, link: NatsSocket, event: Event) -> None:
        if isinstance(event, Message):
            self._take_message(event)
        elif isinstance(event, Info):
            link.info = event
            self._pool.learn(event.connect_urls, link.server)
        elif event[0] == "PING":
            link.write(PONG)
        elif event[0] == "PONG" and self._pongs:
            pong = self._pongs.popleft()
            self._confirmed = max(self._confirmed, pong.mark)
            pong.is_done = True
        elif event[0] not in ("PONG", "+OK"):
            self._counters.server_errors += 1

    def _take_message(self, message: Message) -> None:
        self._counters.received += 1
        joined: Message | None = message
        if message.headers is not None and PART in message.headers.fields:
            joined = self._joiner.take(message, time.monotonic())
            self._counters.incomplete = self._joiner.dropped
        if joined is not None:
            self.inbox.take(joined)
            self._counters.late = self.inbox.late

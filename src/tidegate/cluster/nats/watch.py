"""Watches a bucket: who is in it, then each change, through breaks of the connection and of the bucket itself."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable

from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.entries import Change, is_gone, key_subject, read_position
from tidegate.cluster.nats.headers import Headers
from tidegate.cluster.nats.jetstream import is_missing
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.roster import DEFAULT_SILENCE, RETURN, Roster
from tidegate.errors import ClusterError, ConfigurationError, ProtocolError

__all__ = ["Watch"]

logger = logging.getLogger("tidegate")

TICK_SECONDS = 0.25
HEARTBEATS = 3.0
"""Seconds without a message or a heartbeat, after which the server's consumer counts as gone. It beats each second."""
RETRY_SECONDS = 0.5
CONTROL = 100


class Watch:
    """Tells who is in a bucket, from `start` to `stop`.

    Args:
        changed: is called with a key and its value whenever that is another one, and with None where the entry is gone.
            That an entry was written anew with the same value is not told.
        silence: seconds after which an entry that is not written anew counts as gone, whatever the bucket says.
        pattern: of the keys that it is about.

    Attributes:
        restarts: how often all entries had to be listed again.
    """

    def __init__(
        self,
        bucket: Bucket,
        changed: Callable[[str, bytes | None], None],
        silence: float = DEFAULT_SILENCE,
        pattern: str = ">",
    ) -> None:
        self.restarts = 0
        self._bucket = bucket
        self._client = bucket.client
        self._changed = changed
        self._roster = Roster(silence)
        self._prefix = key_subject(bucket.name, "")
        self._pattern = pattern
        self._numbers = itertools.count(1)
        self._sid = 0
        self._number = 0  # of the last message that the consumer sent
        self._connection = 0  # on which it was made
        self._heard = 0.0
        self._is_listing = False
        self._is_broken = True
        self._was_lost = False  # the bucket itself
        self._reported = ""  # why it can't be watched
        self._listed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def values(self) -> dict[str, bytes]:
        """Of the entries there are, by key."""
        return self._roster.values

    def start(self) -> None:
        """Begin, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def listed(self, seconds: float) -> bool:
        """Wait until all entries that there were at the start have been told of; gives whether they were, in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._listed.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Tell nothing more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            self._client.unsubscribe(self._sid)

    async def _watch(self) -> None:
        while True:
            if self._client.is_connected:
                now = time.monotonic()
                is_same = self._connection == self._client.counters.connections
                if self._is_broken or not is_same or now - self._heard > HEARTBEATS:
                    await self._begin()
                    continue
                for key in self._roster.silent(now):
                    self._tell(key, None)
            await asyncio.sleep(TICK_SECONDS)

    async def _begin(self) -> None:
        """Have everything listed, by a consumer of its own."""
        client = self._client
        client.unsubscribe(self._sid)
        subject = f"{client.subjects.namespace}.watch.{client.id}.{next(self._numbers)}"
        self._sid = client.subscribe(subject, self._received)
        is_back = self._was_lost or self._connection != client.counters.connections
        self._connection = client.counters.connections
        self._number = 0
        self._is_broken, self._is_listing = False, True
        self._roster.begin(time.monotonic() + RETURN if is_back else 0.0)
        self.restarts += self._listed.is_set()
        try:
            pending = await self._bucket.consume(subject, self._pattern)
        except ConfigurationError as error:
            self._report(logging.ERROR, error)
            self._is_broken = True
        except ClusterError as error:
            self._report(logging.INFO, error)
            self._is_broken = True
            if is_missing(error):
                self._was_lost = True
                await self._make_bucket()
        else:
            self._was_lost, self._reported = False, ""
            self._heard = time.monotonic()
            if not pending and self._is_listing:
                self._end_listing()
        if self._is_broken:
            await asyncio.sleep(RETRY_SECONDS)

    async def _make_bucket(self) -> None:
        """The servers have lost it."""
        try:
            await self._bucket.open()
        except (ClusterError, ConfigurationError) as error:
            self._report(logging.ERROR, error)

    def _report(self, level: int, error: Exception) -> None:
        """Log why the bucket can't be watched, once and not each time."""
        if str(error) != self._reported:
            self._reported = str(error)
            logger.log(level, "the members can't be watched: %s", error)

    def _received(self, message: Message) -> None:
        """What the consumer sent."""
        self._heard = time.monotonic()
        if self._is_broken:
            return
        headers = message.headers
        try:
            if headers is not None and headers.status == CONTROL:
                self._control(message, headers)
            else:
                self._entry(message, headers)
        except (ProtocolError, ValueError) as error:
            logger.error("watching the bucket %s: %s", self._bucket.name, error)
            self._is_broken = True

    def _control(self, message: Message, headers: Headers) -> None:
        answer_to = message.reply or headers.fields.get("Nats-Consumer-Stalled", "")
        if answer_to:
            try:
                self._client.publish(answer_to, b"")
            except ClusterError:
                self._is_broken = True
        if int(headers.fields.get("Nats-Last-Consumer", self._number)) != self._number:
            self._is_broken = True  # something was lost on the way

    def _entry(self, message: Message, headers: Headers | None) -> None:
        revision, number, pending = read_position(message.reply)
        if number != self._number + 1:
            self._is_broken = True
            return
        self._number = number
        fields = headers.fields if headers is not None else {}
        value = None if is_gone(fields) else message.payload
        key = message.subject.removeprefix(self._prefix)
        change = Change(key, value, revision, fields.get("Nats-Marker-Reason") == "MaxAge")
        if self._roster.take(change, self._heard):
            self._tell(key, value)
        if not pending and self._is_listing:
            self._end_listing()

    def _end_listing(self) -> None:
        self._is_listing = False
        self._roster.end(time.monotonic())
        self._listed.set()

    def _tell(self, key: str, value: bytes | None) -> None:
        try:
            self._changed(key, value)
        except Exception:
            logger.exception("what changed in the bucket %s could not be taken", self._bucket.name)

"""An entry in a bucket that stands for a member: taken, written anew every second, and given back at the end.

Meanwhile its owner also says every second that it is there, to whoever watches. Where the bucket can't be asked, as
behind a cut, and nobody else says so of the same entry, its owner does that without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable

from tidegate.cluster.nats.announced import ID_SIZE
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.inbox import NobodyListensError
from tidegate.cluster.nats.jetstream import is_missing
from tidegate.cluster.nats.protocol import Message
from tidegate.errors import ClusterError, ConfigurationError

__all__ = ["Lease"]

logger = logging.getLogger("tidegate")

RENEW_SECONDS = 1.0
MOMENTS = 10
LEAVE_SECONDS = 2.0
ALONE_SECONDS = 2.5
"""Of hearing nobody else, before an entry is presumed to be free: each owner speaks once a second."""


class Lease:
    """One entry, which nobody else may have meanwhile.

    Args:
        value: what it says; `own_words` reads it.
        lost: is called once, where somebody else has the entry after a time in which it could not be written anew.

    Attributes:
        is_held: whether it was written and not lost, or is presumed to be ours.
    """

    def __init__(self, bucket: Bucket, key: str, value: bytes, lost: Callable[[], None] | None = None) -> None:
        self.is_held = False
        self._bucket = bucket
        self._key = key
        self._id = secrets.token_hex(ID_SIZE // 2).encode()
        self._value = self._id + value
        self._lost = lost
        self._revision = 0
        self._reported = ""  # why it could not be renewed
        self._client = bucket.client
        self._subject = self._client.subjects.beat(key)
        self._sid = 0  # of what is heard of others
        self._alone_since = time.monotonic()  # nobody else was heard
        self._tasks: list[asyncio.Task[None]] = []

    async def take(self, seconds: float = 10) -> bool:
        """Take it, and begin to renew it; where somebody else has it who is dead, its time has to be over first.

        Returns:
            Whether it is ours. It is not where whoever has it is alive.

        Raises:
            ClusterError: JetStream could not be asked in so many seconds.
        """
        revision = await self._acquire(time.monotonic() + seconds)
        if revision is None:
            self.is_held = False
            return False
        self._revision = revision
        self._client.unsubscribe(self._sid)
        self._hold()
        self._tasks.append(asyncio.get_running_loop().create_task(self._renew()))
        return True

    async def _acquire(self, deadline: float) -> int | None:
        other: int | None = None
        while True:
            try:
                revision = await self._bucket.create(self._key, self._value)
                if revision is not None:
                    return revision
                found = await self._bucket.get(self._key)
                if found is not None and found[0] is not None:
                    if found[0] == self._value:  # written, and the answer was lost
                        return found[1]
                    if other is not None and found[1] != other:  # it was written anew
                        return None
                    other = found[1]
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(RENEW_SECONDS / 4)

    def listen(self) -> None:
        """Listen for others who say that it is theirs, for `presume`, until it is taken."""
        self._sid = self._client.subscribe(self._subject, self._heard)

    def connected(self) -> None:
        """From now on it can be heard whether somebody does."""
        self._alone_since = time.monotonic()

    def presume(self) -> bool:
        """Have it until `take` tells better, where the bucket can't be asked and nobody else has said for a while that
        it is theirs; gives whether that is so."""
        if self._client.is_connected and time.monotonic() - self._alone_since > ALONE_SECONDS:
            self._hold()
        return self.is_held

    def _heard(self, message: Message) -> None:
        if message.payload and message.payload[:ID_SIZE] != self._id:
            self._alone_since = time.monotonic()

    def _hold(self) -> None:
        if not self.is_held:
            self.is_held = True
            self._tasks.append(asyncio.get_running_loop().create_task(self._beat()))

    async def give_back(self) -> None:
        """Take the entry away, so that everybody knows at once."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if not self.is_held:
            return
        self.is_held = False
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                # A write may be on its way of which the revision is not known: what counts is whose it is.
                found = await self._bucket.get(self._key)
                if found is not None and found[0] == self._value:
                    await self._bucket.delete(self._key, found[1])
                elif found is not None and found[0] is not None:
                    return  # it was presumed, and is somebody else's
        except (ClusterError, TimeoutError) as error:
            logger.info("the entry %s was left to its time: %s", self._key, error)
        self._say(b"")

    @property
    def value(self) -> bytes:
        """Of the entry: whose it is, and what it says."""
        return self._value

    def speak(self) -> None:
        """Be heard now, and not only at the next of its moments."""
        if self.is_held:
            self._say(self._value)

    async def _beat(self) -> None:
        """Be heard: in one of a few moments of each second, so that who hears of many is woken a few times for all.

        Clocks that do not agree cost nothing but that.
        """
        moment = int(self._id, 16) % MOMENTS * RENEW_SECONDS / MOMENTS
        while self.is_held:
            self._say(self._value)
            await asyncio.sleep(RENEW_SECONDS - (time.time() - moment) % RENEW_SECONDS)

    def _say(self, value: bytes) -> None:
        if self._client.is_connected:  # what was to be said a while ago is nothing to be said late
            with contextlib.suppress(ClusterError):
                self._client.publish(self._subject, value)

    async def _renew(self) -> None:
        pause = RENEW_SECONDS
        while True:
            await asyncio.sleep(pause)
            # After a failure at once: while the servers chose a leader the entry's time may have passed, and those who
            # watch give it no more than a moment once there is one.
            pause = RENEW_SECONDS / 10
            try:
                async with asyncio.timeout(RENEW_SECONDS):
                    revision = await self._bucket.put(self._key, self._value, self._revision)
                    if revision is None:
                        revision = await self._recover()
            except ConfigurationError as error:
                self._report(logging.ERROR, str(error))
                continue
            except (ClusterError, TimeoutError) as error:
                self._report(logging.INFO, str(error) or "no answer")
                if isinstance(error, NobodyListensError) or (isinstance(error, ClusterError) and is_missing(error)):
                    await self._make_bucket()
                continue
            if revision is None:
                self.is_held = False
                logger.error("the entry %s belongs to another process now", self._key)
                if self._lost is not None:
                    self._lost()
                return
            self._revision = revision
            self._reported = ""
            pause = RENEW_SECONDS

    def _report(self, level: int, reason: str) -> None:
        """Log why it could not be renewed, once and not each time."""
        if reason != self._reported:
            self._reported = reason
            logger.log(level, "the entry %s could not be renewed: %s", self._key, reason)

    async def _recover(self) -> int | None:
        """It has another revision than is known here: it expired, or an answer was lost; None where somebody else has
        it."""
        found = await self._bucket.get(self._key)
        if found is None:
            revision = await self._bucket.create(self._key, self._value)
        elif found[0] is None or found[0][:ID_SIZE] == self._id:
            revision = await self._bucket.put(self._key, self._value, found[1])
        else:
            return None
        if revision is None:  # as of a leader without followers, which goes on counting what it can't write
            raise ClusterError("it is being written by somebody else, or the servers of NATS do not agree")
        return revision

    async def _make_bucket(self) -> None:
        """The servers may have lost it."""
        try:
            await self._bucket.open(RENEW_SECONDS)
        except (ClusterError, ConfigurationError) as error:
            logger.info("%s", error)

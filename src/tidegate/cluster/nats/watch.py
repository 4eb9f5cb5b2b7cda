"""Watches who is there: those in a bucket, and then whoever says so, through breaks of the connection.

The bucket tells who there is at the start, and after each break who is new. From then on each is heard by its own
word, which NATS carries even while the servers that keep the bucket choose a leader, and which costs them less than a
change of the bucket does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.jetstream import is_missing
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.roster import DEFAULT_SILENCE, Roster
from tidegate.errors import ClusterError, ConfigurationError

__all__ = ["Watch"]

logger = logging.getLogger("tidegate")

TICK_SECONDS = 0.25
RETRY_SECONDS = 0.5
STALL_SECONDS = 1.0


class Watch:
    """Tells who is there, from `start` to `stop`.

    Args:
        changed: is called with a key and its value whenever that is another one, and with None where whoever had it is
            gone.
        silence: seconds after which whoever says nothing counts as gone.
        pattern: of the keys that it is about.
    """

    def __init__(
        self,
        bucket: Bucket,
        changed: Callable[[str, bytes | None], None],
        silence: float = DEFAULT_SILENCE,
        pattern: str = ">",
    ) -> None:
        self._bucket = bucket
        self._client = bucket.client
        self._changed = changed
        self._roster = Roster(silence)
        self._pattern = pattern
        self._prefix = self._client.subjects.beat("")
        self._sid = 0
        self._connection = 0  # the number of the one on which it listens
        self._listed_on = 0  # and of that on which the bucket was listed
        self._left: set[str] = set()  # who has left while it is being listed
        self._problem = ""
        self._is_new = asyncio.Event()  # the connection
        self._listed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def values(self) -> dict[str, bytes]:
        """What those say that are there, by key."""
        return self._roster.values

    def start(self) -> None:
        """Begin, in the running loop."""
        self._sid = self._client.subscribe(self._client.subjects.beat(self._pattern), self._heard)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch()), loop.create_task(self._keep_listed())]

    async def listed(self, seconds: float) -> bool:
        """Wait until all that there were at the start have been told of; gives whether they were, in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._listed.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Tell nothing more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            self._client.unsubscribe(self._sid)

    async def _watch(self) -> None:
        heard_until = 0.0
        while True:
            now = time.monotonic()
            if self._client.is_connected:
                self._excuse(now, now - heard_until)
                heard_until = now
                for key in self._roster.silent(now):
                    self._tell(key, None)
            await asyncio.sleep(TICK_SECONDS)

    def _excuse(self, now: float, seconds: float) -> None:
        """Where words were missed nobody is to be blamed for them.

        Args:
            seconds: for which nobody has looked.
        """
        connection = self._client.counters.connections
        if connection != self._connection and self._client.has_moved:
            self._roster.moved(now)
        elif connection != self._connection or seconds > STALL_SECONDS:  # or this process itself stood still
            self._roster.deaf(now)
        if connection != self._connection:
            self._connection = connection
            self._is_new.set()

    async def _keep_listed(self) -> None:
        """List the bucket on each new connection."""
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            while self._client.is_connected and self._listed_on != self._client.counters.connections:
                await self._list()

    async def _list(self) -> None:
        """Learn who was there before anybody could be heard."""
        connection = self._client.counters.connections
        self._left.clear()
        try:
            found = await self._bucket.look_up(self._pattern)
        except (ConfigurationError, ClusterError) as error:
            await self._failed(error)
            return
        self._listed_on, self._problem = connection, ""
        now = time.monotonic()
        for key, value in found.entries.items():
            if key not in self._left and self._roster.listed(key, value, now):
                self._tell(key, value)
        self._listed.set()

    async def _failed(self, error: ClusterError | ConfigurationError) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            is_wrong = isinstance(error, ConfigurationError)
            logger.log(logging.ERROR if is_wrong else logging.INFO, "the members can't be listed: %s", error)
        if isinstance(error, ClusterError) and is_missing(error):
            await self._make_bucket()
        await asyncio.sleep(RETRY_SECONDS)

    async def _make_bucket(self) -> None:
        """The servers have none, or have lost it."""
        try:
            await self._bucket.open()
        except (ClusterError, ConfigurationError) as error:
            logger.error("%s", error)

    def _heard(self, message: Message) -> None:
        """What somebody says: nothing, where it goes."""
        key, value = message.subject.removeprefix(self._prefix), message.payload
        if value:
            self._left.discard(key)
            if self._roster.heard(key, value, time.monotonic()):
                self._tell(key, value)
        else:
            self._left.add(key)
            if self._roster.left(key):
                self._tell(key, None)

    def _tell(self, key: str, value: bytes | None) -> None:
        try:
            self._changed(key, value)
        except Exception:
            logger.exception("what changed in the bucket %s could not be taken", self._bucket.name)

"""What rooms remember in Redis: how often they were visited, and what was said last.

Redis may be away: nothing here raises because of that, or waits for it longer than three seconds. What was not kept
is counted. Who is in a room and what they say to each other does not depend on any of this.
"""

import asyncio
import json
import logging
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

__all__ = ["LAST", "LOOK_SECONDS", "Memory"]

LAST = 50  # messages of a room that are kept
KEPT_SECONDS = 30 * 24 * 3600  # after which a room that nobody comes to is forgotten
VISITS = "ROOM_TOTAL_PV"
LOOK_SECONDS = 2  # between looks whether Redis is there
SOCKET_SECONDS = 1
WAIT_SECONDS = 3  # for a turn, a new connection and the answer together
CONNECTIONS = 10

logger = logging.getLogger("tidegate.live_room")


class Memory:
    """Rooms in Redis.

    A command that fails turns it off, and nothing is asked of Redis any more until a `look`, of which there is one at a
    time, has found it again: a Redis that is down, or comes back, is not met by every visitor's attempts.

    Attributes:
        is_on: whether Redis has answered the last time.
        missed: visits and messages that were not kept; the next look that finds Redis says so in the log.
        is_quiet: another process says in the log that it is away.
    """

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # with it, connections from before a restart of Redis are noticed before they are used
            decode_responses=True,
        )
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self.is_on = True
        self.missed = 0
        self.is_quiet = False

    async def enter(self, room: str, is_visit: bool) -> tuple[int | None, list[dict[str, Any]]]:
        """Count a visit; gives how many there were, None where nothing is counted, and the last messages in order."""
        commands = self._redis.pipeline()
        commands.hincrby(f"PV:ROOM:{room}", VISITS, int(is_visit))
        commands.expire(f"PV:ROOM:{room}", KEPT_SECONDS)
        commands.lrange(f"MESSAGES:ROOM:{room}", 0, LAST - 1)
        answers = await self._run(commands, missed=int(is_visit))
        if answers is None:
            return None, []
        visits, _, messages = answers
        return visits, [json.loads(message) for message in reversed(messages)]

    async def keep(self, room: str, message: str) -> None:
        """Put a message before the others, and let the oldest go."""
        commands = self._redis.pipeline()
        commands.lpush(f"MESSAGES:ROOM:{room}", message)
        commands.ltrim(f"MESSAGES:ROOM:{room}", 0, LAST - 1)
        commands.expire(f"MESSAGES:ROOM:{room}", KEPT_SECONDS)
        await self._run(commands, missed=1)

    async def look(self) -> None:
        """See whether it takes what it is given: one whose disk or memory is full answers a ping as well."""
        commands = self._redis.pipeline()
        commands.set("LIVE_ROOM:LOOK", "", ex=60)
        if await self._try(commands, is_look=True) is None:
            return
        if self.missed or not (self.is_on or self.is_quiet):
            logger.warning("counting is on; %d visits and messages were not kept", self.missed)
        self.is_on, self.missed = True, 0

    async def close(self) -> None:
        await self._redis.aclose()

    async def _run(self, commands: Pipeline, missed: int) -> list[Any] | None:
        answers = await self._try(commands)
        if answers is None:
            self.missed += missed
        return answers

    async def _try(self, commands: Pipeline, is_look: bool = False) -> list[Any] | None:
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._turns, commands:
                if self.is_on or is_look:  # it may have gone off while this one waited for its turn
                    return list(await commands.execute())
        except TimeoutError:
            pass  # too many others are waiting; Redis itself is there, as far as anybody knows
        except (RedisError, OSError) as error:
            if self.is_on and not self.is_quiet:
                logger.warning("counting is off, and no message is kept, until Redis answers: %s", error)
            self.is_on = False
        return None

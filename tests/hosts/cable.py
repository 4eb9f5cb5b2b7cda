"""A host without its cable: what its clients and those of others see meanwhile, and when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from tests.hosts.machines import HOSTS, URL, Machines, Member
from tests.net.support import until
from tidegate import AsyncGatewayClient, GatewayClient
from tidegate.errors import ClusterError

__all__ = ["one_host_cut_off"]

Ask: TypeAlias = Callable[[], Awaitable[Any]]
"""A question, however it is asked."""
PAUSE = 0.02
"""Seconds between two numbers that a client says, so that there is time for everybody else."""


class Talk:
    """A client that says numbers, each when the one before is answered, or is not for a while, and when answers came.

    An answer that was on its way over NATS when the worker's connection broke may be lost; none may come twice.
    """

    PATIENCE = 1.0

    def __init__(self, member: Member) -> None:
        self.member = member
        self.times: list[float] = []
        self.lost = 0
        self._last = -1
        self._over = False

    async def __call__(self) -> None:
        for number in itertools.count():
            if self._over:
                return
            await self.member.says(str(number))
            with contextlib.suppress(TimeoutError):
                while self._last < number:
                    self._take(await self.member.has(1, self.PATIENCE))
                await asyncio.sleep(PAUSE)
                continue
            self.lost += 1

    def _take(self, heard: Sequence[str]) -> None:
        for text in heard:
            number, host = text.split(" x ")
            assert (int(number) > self._last, host) == (True, self.member.host), (text, self._last)
            self._last = int(number)
            self.times.append(time.monotonic())

    def stop(self) -> None:
        self._over = True

    def pause(self, since: float) -> float:
        """The longest that it waited for an answer from then on, until now."""
        times = [since, *(moment for moment in self.times if moment > since), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextlib.asynccontextmanager
async def talking(machines: Machines) -> AsyncIterator[list[Talk]]:
    """A client of each host's first gateway that talks until the end of the block."""
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        talks = [Talk(await stack.enter_async_context(await machines.member(host))) for host in HOSTS]
        tasks = [group.create_task(talk()) for talk in talks]
        try:
            yield talks
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        for talk in talks:
            talk.stop()
        await asyncio.gather(*tasks)


async def one_host_cut_off(machines: Machines, host: str) -> dict[str, float]:
    """A host's cable is pulled out, and plugged in again; gives seconds of what took time.

    Both push clients are connected to the NATS server that is cut off.
    """
    took: dict[str, float] = {}
    own = f"nats://{host}:4222"
    async with machines.members() as members, talking(machines) as talks, AsyncGatewayClient(own, timeout=1) as client:
        with GatewayClient(own, timeout=1, connect_timeout=1) as blocking:
            there = [member for member in members if member.host != host]
            everybody, rest = {member.id for member in members}, {member.id for member in there}
            for member in members:
                await client.join_group(member.id, "room")
            await client.flush()
            asked = there[0]
            ways: dict[str, Ask] = {
                "client": lambda: asyncio.to_thread(blocking.get_client_id_list_by_group, "room"),
                "async client": lambda: client.get_client_id_list_by_group("room"),
                "worker": lambda: _ask_worker(asked, "get_client_id_list_by_group", "room"),
            }
            for way in ways.values():  # at once, but for what a host that was cut off a moment ago has left behind
                await _answered(way, everybody, everybody, host)
            newcomers = Newcomers(rest, everybody)
            coming = asyncio.create_task(newcomers())
            machines.network.unplug(host)
            began = time.monotonic()
            times = await asyncio.gather(*(_answered(way, rest, rest, host) for way in ways.values()))
            took |= {f"gone for {name}": moment - began for name, moment in zip(ways, times, strict=True)}
            with contextlib.suppress(ClusterError):  # its own connection was the one that broke
                await client.flush()
            await client.send_to_group("room", "without")
            for member in there:
                assert await member.has(1) == ["without"]
            await until(lambda: all(talk.times[-1] > max(times) for talk in talks), 20)
            took |= {f"longest pause on {talk.member.host}": talk.pause(began) for talk in talks}
            took["answers lost"] = sum(talk.lost for talk in talks)

            machines.network.unplug(host, False)
            began = time.monotonic()
            times = await asyncio.gather(*(_answered(way, everybody, rest, host) for way in ways.values()))
            took |= {f"back for {name}": moment - began for name, moment in zip(ways, times, strict=True)}
            await machines.whole()
            newcomers.expected = everybody
            for number, send in enumerate((client.send_to_group, blocking.send_to_group)):
                done = send("room", f"again {number}")
                if done is not None:
                    await done
            for member in members:
                heard = await member.has(2)
                if heard[0] == "without" and member not in there:  # a server has kept it for the other one
                    heard = heard[1:] or await member.has(1)
                heard += await member.has(2 - len(heard))
                assert sorted(heard) == ["again 0", "again 1"], heard
            count = newcomers.answered
            await until(lambda: coming.done() or newcomers.answered >= count + 4)
            for way in ways.values():
                await _answered(way, everybody, everybody, host)
            newcomers.is_over = True
            await coming
            took |= {"newcomers answered": newcomers.answered, "newcomers told of an error": newcomers.refused}
    return took


class Newcomers:
    """Push clients that have just been made: one after the other, each asks one question.

    Attributes:
        expected: who must not be missing in an answer to a question that is asked now.
        answered, refused: how many.
    """

    def __init__(self, expected: set[str], everybody: set[str]) -> None:
        self.expected = expected
        self.everybody = everybody
        self.answered = self.refused = 0
        self.is_over = False

    async def __call__(self) -> None:
        kinds = itertools.cycle([self._blocking, self._asynchronous])
        while not self.is_over:
            expected = self.expected
            try:
                found = await next(kinds)()
            except ClusterError as error:
                _check(error, *HOSTS)  # to who is connected to the server that was cut off, others are
                self.refused += 1
            else:
                assert expected <= found <= self.everybody, (expected - found, found - self.everybody)
                self.answered += 1
            await asyncio.sleep(5 * PAUSE)

    async def _blocking(self) -> set[str]:
        def ask() -> set[str]:
            with GatewayClient(URL, timeout=1, connect_timeout=1) as client:
                return set(client.get_client_id_list_by_group("room"))

        return await asyncio.to_thread(ask)

    async def _asynchronous(self) -> set[str]:
        async with AsyncGatewayClient(URL, timeout=1, connect_timeout=2) as client:
            return set(await client.get_client_id_list_by_group("room"))


async def _ask_worker(member: Member, name: str, *args: Any) -> Any:
    await member.says(json.dumps([name, args, {}]))
    while True:
        [text] = await member.has(1)
        answer = json.loads(text)
        if isinstance(answer, list) and answer and answer[0] in ("ClusterError", "ClusterTimeoutError"):
            raise ClusterError(answer[1])
        return answer


async def _answered(ask: Ask, wanted: set[str], least: set[str], host: str) -> float:
    """Ask until the answer is the one that is wanted; gives when it came. No error may be about another host.

    Args:
        least: who is never missing in an answer.
    """
    while True:
        try:
            found = set(await ask())
        except ClusterError as error:
            _check(error, host)
        else:
            if found == wanted:
                return time.monotonic()
            assert found >= least, least - found
        await asyncio.sleep(0.05)


def _check(error: ClusterError, *hosts: str) -> None:
    """No error may be about another host."""
    if not any(host in str(error) for host in hosts) and "NATS" not in str(error):
        raise error

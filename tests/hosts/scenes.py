"""What happens to the cluster: each scene checks all that its clients hear, and leaves everything as it was."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence

from tests.hosts.machines import DOORS, HOSTS, URL, Machines, Member
from tests.net.support import until
from tests.whole.test_api import Callers, _exercise
from tidegate import AsyncGatewayClient, GatewayClient
from tidegate.errors import ClusterError

__all__ = ["every_method", "joins", "packets", "server_killed"]

BATCH = 200
BREATH = 0.1
"""Seconds between two batches, so that there is time for everybody else."""


async def every_method(machines: Machines) -> None:
    """All of the push API, from the fourth host and from a worker, with clients of all gateways."""
    places = [*itertools.product(HOSTS, DOORS), (HOSTS[0], "one"), (HOSTS[2], "two")]
    clients = [await machines.connect(*place) for place in places]
    try:
        ids = [(await client.read_text()).split()[1] for client in clients]
        (caller_id, *others), (browser, *rest) = ids, clients
        callers = Callers(URL, browser)
        try:
            await _exercise(callers, rest, others, caller_id)
        finally:
            await callers.close()
    finally:
        for client in clients:
            client.sock.close()


async def joins(machines: Machines, count: int) -> None:
    """Joins, each followed at once by a push: by both kinds of client on the fourth host, and in each worker."""
    async with machines.members() as members:
        places = [members[number % len(members)] for number in range(count)]
        with GatewayClient(URL) as blocking:
            await asyncio.to_thread(_join_and_push, blocking, [member.id for member in places])
        async with AsyncGatewayClient(URL) as client:
            for number, member in enumerate(places):
                await client.join_group(member.id, f"async{number}")
                await client.send_to_group(f"async{number}", f"async {number}")
            await client.flush()
        for at, member in enumerate(members):
            mine = range(at, count, len(members))
            expected = [f"{way} {number}" for way in ("blocking", "async") for number in mine]
            assert await member.has(len(expected)) == expected
        share = count // len(HOSTS)  # with what it is in by now, fewer than a client may be in
        for member in members[:: len(DOORS)]:
            await member.says(f"joins {share}")
            assert await member.has(share) == [f"worker {number}" for number in range(share)]
            await member.says(json.dumps(["leave_group", [member.id, "room"], {}]))  # of nothing: it is through
            assert await member.has(1) == ["null"]


def _join_and_push(client: GatewayClient, ids: Sequence[str]) -> None:
    for number, id in enumerate(ids):
        client.join_group(id, f"blocking{number}")
        client.send_to_group(f"blocking{number}", f"blocking {number}")
    client.flush()


async def packets(machines: Machines, count: int = 200) -> None:
    """Pushes to a group with a member of one gateway come to that one's process alone."""
    async with machines.members() as members:
        near, far = members[0], members[-1]
        with GatewayClient(URL) as blocking:
            blocking.join_group(far.id, "alone")
            blocking.flush()
            before = await asyncio.to_thread(machines.packets)
            for number in range(count):
                blocking.send_to_group("alone", f"told {number}")
            assert await far.has(count) == [f"told {number}" for number in range(count)]
        async with AsyncGatewayClient(URL) as client:
            for number in range(count):
                await client.send_to_group("alone", f"told {number}")
            assert await far.has(count) == [f"told {number}" for number in range(count)]
        await near.says(f"tells alone {count}")
        assert await far.has(count) == [f"told {number}" for number in range(count)]
        after = await asyncio.to_thread(machines.packets)
        assert [now - then for now, then in zip(after, before, strict=True)] == [0, 0, 0, 0, 0, 3 * count]


# A server that is killed


class Batches:
    """What one process pushes, in batches: those after which `flush` returned have arrived, and of the others perhaps
    some."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sure: list[int] = []
        self.unsure: list[int] = []
        self.errors: set[str] = set()
        self._first = itertools.count(0, BATCH)
        self.is_over = False

    def texts(self) -> Iterator[tuple[int, list[str]]]:
        """The first number of each batch, and what it says."""
        while not self.is_over:
            first = next(self._first)
            yield first, [f"{self.name} {number}" for number in range(first, first + BATCH)]

    def done(self, first: int, error: object = None) -> None:
        (self.sure if error is None else self.unsure).extend(range(first, first + BATCH))
        if error is not None:
            self.errors.add(str(error))

    def check(self, heard: Sequence[int]) -> None:
        """That one client has heard the right things."""
        assert list(heard) == sorted(set(heard)), f"{self.name}: twice, or not in order: {heard}"
        lost = sorted({*self.sure} - {*heard})
        assert not lost, f"{self.name}: flushed and never heard: {lost}; unsure: {self.unsure}"
        assert {*heard} <= {*self.sure, *self.unsure}


def _block(batches: Batches) -> None:
    with GatewayClient(URL, timeout=2, connect_timeout=2) as client:
        for first, texts in batches.texts():
            problem: ClusterError | None = None
            for text in texts:
                try:
                    client.send_to_group("room", text)
                except ClusterError as error:
                    problem = error
            try:
                client.flush()
            except ClusterError as error:
                problem = error
            batches.done(first, problem)
            time.sleep(BREATH)


async def _await(batches: Batches) -> None:
    async with AsyncGatewayClient(URL, timeout=2, connect_timeout=2) as client:
        for first, texts in batches.texts():
            problem: ClusterError | None = None
            for text in texts:
                try:
                    await client.send_to_group("room", text)
                except ClusterError as error:
                    problem = error
            try:
                await client.flush()
            except ClusterError as error:
                problem = error
            batches.done(first, problem)
            await asyncio.sleep(BREATH)


async def _in_worker(batches: Batches, member: Member) -> None:
    for first, _ in batches.texts():
        await member.says(f"batch {first} {BATCH}")
        try:
            [answer] = await member.has(1, 15)
        except TimeoutError:
            batches.done(first, "no answer")
            continue
        word, number, *error = answer.split(" ", 2)
        assert number == str(first), (answer, first)
        batches.done(first, None if word == "sure" else error)
        await asyncio.sleep(BREATH)


async def server_killed(machines: Machines, host: str) -> dict[str, int]:
    """A NATS server is killed under load and started again: what was pushed raised or arrived, once and in order."""
    async with machines.members() as members, contextlib.AsyncExitStack() as stack:
        with GatewayClient(URL) as client:
            for member in members:
                client.join_group(member.id, "room")
            client.flush()
        speakers = [await stack.enter_async_context(await machines.member(each)) for each in HOSTS]
        batches = [Batches(name) for name in ("blocking", "async", *HOSTS)]
        work = [asyncio.to_thread(_block, batches[0]), _await(batches[1])]
        work += [_in_worker(each, speaker) for each, speaker in zip(batches[2:], speakers, strict=True)]

        async def moved_on(count: int) -> None:
            sizes = [len(each.sure) + count * BATCH for each in batches]
            await until(lambda: all(len(each.sure) >= size for each, size in zip(batches, sizes, strict=True)), 60)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
            try:
                await moved_on(3)
                machines.hosts[host].server.stop()
                await moved_on(3)
                await asyncio.to_thread(machines.hosts[host].start_server)
                await moved_on(3)
            finally:
                for each in batches:
                    each.is_over = True
            await asyncio.gather(*tasks)
        with GatewayClient(URL) as client:
            client.send_to_group("room", "the end")
        for member in members:
            await until(lambda member=member: member.heard[-1:] == ["the end"])  # type: ignore[misc]
            heard = member.heard[:-1]
            for each in batches:
                own = [int(text.rpartition(" ")[2]) for text in heard if text.startswith(f"{each.name} ")]
                each.check(own)
    return {each.name: len(each.unsure) for each in batches}

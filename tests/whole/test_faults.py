"""Processes that are replaced, killed or away while clients talk: nothing is lost that is not counted."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.net.support import WebSocketClient
from tests.process.support import Place, until
from tests.whole.support import ROOM, Cluster, browsers, in_time, terminals
from tidegate import GatewayClient

ECHO = """
@business.on_message
async def echo(client, message):
    await asyncio.sleep(random.random() * 0.02)
    client.session["last"] = message
    client.send(f"{message} VERSION {os.getpid()}")
"""


class Talker:
    """A client that sends numbers, some ahead of the answers, and sees that each is answered, once, in order."""

    AHEAD = 5

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client
        self.answered = 0
        self.pids: set[str] = set()
        self.versions: set[str] = set()
        self._over = False

    async def talk(self) -> None:
        sent = 0
        while not self._over or self.answered < sent:
            while not self._over and sent < self.answered + self.AHEAD:
                sent += 1
                await self._client.send_text(str(sent))
            number, version, pid = (await self._client.read_text()).split()
            self.answered += 1
            assert int(number) == self.answered
            self.versions.add(version)
            self.pids.add(pid)

    def stop(self) -> None:
        self._over = True


def test_a_reload_under_load_loses_repeats_and_reorders_nothing(place: Place) -> None:
    cluster = Cluster(place, ROOM + ECHO.replace("VERSION", "v1"))
    before = cluster.pids("business")

    async def main() -> None:
        async with browsers(cluster, 20) as clients:
            for client in clients:
                await client.read_text()
            talkers = [Talker(client) for client in clients]
            async with asyncio.TaskGroup() as group:
                for talker in talkers:
                    group.create_task(talker.talk())
                await asyncio.sleep(0.2)
                cluster.write(ROOM + ECHO.replace("VERSION", "v2"))
                await asyncio.to_thread(place.reload)
                enough = [talker.answered + 20 for talker in talkers]
                while any(talker.answered < least for talker, least in zip(talkers, enough, strict=True)):
                    await asyncio.sleep(0.01)
                assert all(talker.versions == {"v1", "v2"} for talker in talkers)
                for talker in talkers:
                    talker.stop()
            assert not {str(pid) for pid in before} & set(place_pids())

    def place_pids() -> list[str]:
        return [str(pid) for pid in cluster.pids("business")]

    in_time(main(), 50)
    assert cluster.counters("web")["events_lost"] == 0
    assert cluster.counters("web")["events_dropped"] == 0


SLOW = """
@business.on_message
def answer(client, message):
    time.sleep(0.02)
    client.send(f"{message} {os.getpid()}")
"""


def test_a_killed_workers_clients_stay_and_what_it_had_not_begun_goes_to_another(place: Place) -> None:
    cluster = Cluster(place, ROOM + SLOW, count=1)

    async def main() -> None:
        async with browsers(cluster, 30) as clients:
            workers = [(await client.read_text()).split()[2] for client in clients]
            victim = workers[0]
            for number, client in enumerate(clients):
                await client.send_text(str(number))
            while True:  # until the first has been served, of some fifteen
                first = await clients[workers.index(victim)].read_text()
                if first:
                    break
            os.kill(int(victim), signal.SIGKILL)
            start = time.monotonic()
            served = 0
            for client, worker in zip(clients, workers, strict=True):
                if client is clients[workers.index(victim)]:
                    continue
                try:
                    async with asyncio.timeout(2):
                        await client.read_text()
                    served += 1
                except TimeoutError:
                    assert worker == victim
            lost = (await asyncio.to_thread(cluster.counters, "web"))["events_lost"]
            assert served + lost == len(clients) - 1
            assert lost <= 1  # that which ran
            for client in clients:
                await client.send_text("again")
                assert (await client.read_text()).startswith("again ")
            assert time.monotonic() - start < 10

    in_time(main())


FATAL = """
@business.on_message
def answer(client, message):
    if message == "the end":
        os._exit(3)
    client.send(message)
"""


def test_a_message_that_its_workers_die_of_is_lost_and_counted_and_does_not_end_them_all(place: Place) -> None:
    cluster = Cluster(place, ROOM + FATAL, count=1)

    async def main() -> None:
        async with browsers(cluster, 4) as clients:
            for client in clients:
                await client.read_text()
            for number, client in enumerate(clients):
                await client.send_text(f"before {number}")
            await clients[0].send_text("the end")
            for number, client in enumerate(clients):
                await client.send_text(f"after {number}")
            for number, client in enumerate(clients):
                assert [await client.read_text() for _ in range(2)] == [f"before {number}", f"after {number}"]

    in_time(main())
    until(cluster.is_whole)
    assert cluster.counters("web")["events_lost"] == 1


def test_register_may_die_and_come_back_without_a_message_noticing(place: Place) -> None:
    cluster = Cluster(place, ROOM + ECHO)
    push = GatewayClient(cluster.address)

    async def main() -> None:
        async with browsers(cluster, 4) as clients:
            ids = [(await client.read_text()).split()[1] for client in clients]
            assert await asyncio.to_thread(push.get_all_client_count) == 4
            talkers = [Talker(client) for client in clients[1:]]
            async with asyncio.TaskGroup() as group:
                for talker in talkers:
                    group.create_task(talker.talk())
                [pid] = await asyncio.to_thread(cluster.pids, f"register-{cluster.register}")
                os.kill(pid, signal.SIGKILL)
                push.send_to_client(ids[0], "while it is away")
                assert await clients[0].read_text() == "while it is away"
                await asyncio.to_thread(until, lambda: cluster.is_whole() and _is_other(cluster, pid))
                await asyncio.to_thread(until, lambda: _count(push) == 4)
                push.send_to_all("it is back", client_ids=[ids[0]])
                assert await clients[0].read_text() == "it is back"
                for talker in talkers:
                    talker.stop()

    in_time(main())
    push.close()


def _is_other(cluster: Cluster, pid: int) -> bool:
    return cluster.pids(f"register-{cluster.register}") != [pid]


def _count(push: GatewayClient) -> int:
    try:
        return push.get_all_client_count()
    except ConnectionError:
        return 0


WATCHED = """
@business.on_connect
def come(client):
    client.join_group("all")
    client.send(f"hello {client.id} {os.getpid()}")

@business.on_message
def say(client, message):
    client.send(message)

@business.on_close
def go(client):
    business.send_to_group("all", f"gone {client.id}")
"""


def test_a_killed_gateway_is_back_and_workers_call_on_close_for_its_clients(place: Place) -> None:
    cluster = Cluster(place, WATCHED, terminals=True)
    push = GatewayClient(cluster.address)

    async def main() -> None:
        async with terminals(cluster, 2) as watchers, browsers(cluster, 8) as clients:
            for watcher in watchers:
                await watcher.read_line()
            ids = [(await client.read_text()).split()[1] for client in clients]
            pids = await asyncio.to_thread(cluster.pids, "web")
            port = int(ids[0][8:12], 16)  # of the process that the first came to
            os.kill(pids[port - cluster.web], signal.SIGKILL)
            gone = {id for id in ids if int(id[8:12], 16) == port}
            for watcher in watchers:
                assert {(await watcher.read_line()).split()[1] for _ in gone} == gone
            await watchers[0].send(b"still here\n")
            assert await watchers[0].read_line() == "still here"
            await asyncio.to_thread(until, lambda: cluster.is_whole() and cluster.pids("web") != pids)
            async with browsers(cluster, 8) as more:
                again = [(await client.read_text()).split()[1] for client in more]
                assert not gone.intersection(again)
                await asyncio.to_thread(until, lambda: _count(push) == 2 + len(ids) - len(gone) + len(again))
                push.send_to_client(again[0], "x")
                assert await more[0].read_text() == "x"

    in_time(main())
    push.close()


TURNS = """
def in_turn(workers, client, event):
    if event == "message":
        in_turn.count += 1
    return sorted(workers, key=lambda worker: worker.key)[in_turn.count % len(workers)]

in_turn.count = 0

app = App(
    Register(CLUSTER),
    Gateway("websocket://127.0.0.1:0", name="web", start_port={web}, cluster=CLUSTER, router=in_turn),
    business,
)

@business.on_connect
def greet(client):
    client.send("hello " + client.id)

@business.on_message
async def count(client, message):
    name = f"worker {{business.id}}"
    client.session[name] = client.session.get(name, 0) + 1
    await asyncio.sleep(random.random() * 0.002)
    client.send(name)
"""


def test_a_session_keeps_what_two_workers_and_somebody_outside_write_at_the_same_time(place: Place) -> None:
    cluster = Cluster(place)
    cluster.write(TURNS.format(web=cluster.web))
    cluster.start()
    push = GatewayClient(cluster.address)

    async def main() -> None:
        async with browsers(cluster, 1) as [client]:
            id = (await client.read_text()).split()[1]
            for number in range(200):
                await client.send_text(str(number))
                if number % 10 == 0:
                    push.update_session(id, {"outside": number})
            counts: dict[str, int] = {}
            for _ in range(200):
                name = await client.read_text()
                counts[name] = counts.get(name, 0) + 1
            assert len(counts) == 2
            push.flush()
            session: dict[str, int] = {}
            while session != {**counts, "outside": 190}:
                session = push.get_session(id) or {}
                await asyncio.sleep(0.01)

    in_time(main())
    push.close()

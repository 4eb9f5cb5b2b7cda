"""Whatever workers and clients do: what a client sent is begun with once, all of it, in order."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.gateway.scripted import LIMIT, Client, Worker, World
from tidegate.gateway.peer import EVENT_SIZE


class Cluster(RuleBasedStateMachine):
    """A gateway whose workers come, go, drain and die while its clients talk."""

    @initialize(choice=st.sampled_from(["least", "random"]))
    def begin(self, choice: str) -> None:
        self.world = World(choice)
        self.workers: list[Worker] = []
        self.keys = 0

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        for worker in self.workers:
            worker.die()
        last = Worker(world, "last")
        last.work_off()
        for client in world.open_clients().values():
            assert not client.is_paused
            world.leave(client)
        last.work_off()
        assert world.router.waiting == 0
        for client in world.clients.values():
            assert client.started == client.sent
            assert client.peer is None
            assert client.closed is None
        assert world.router.stats.events_dropped == 0
        assert last.peer.clients == 0
        assert last.peer.held_up == set()
        assert last.peer.window.rest() == []
        assert last.peer.window.weight == 0
        assert world.router._peers == {"last": last.peer}
        assert world.router._held.size == 0
        world.end()

    # Clients

    @rule()
    def connect(self) -> None:
        self.world.connect()

    def pick(self, data: st.DataObject, those: list[Client]) -> Client:
        return data.draw(st.sampled_from(those))

    @precondition(lambda self: any(not client.is_paused for client in self.world.open_clients().values()))
    @rule(data=st.data(), count=st.integers(1, 8), size=st.sampled_from([4, 8, 300]))
    def say(self, data: st.DataObject, count: int, size: int) -> None:
        talkers = [client for client in self.world.open_clients().values() if not client.is_paused]
        self.world.say(self.pick(data, talkers), count, size)

    @precondition(lambda self: self.world.open_clients())
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        self.world.leave(self.pick(data, list(self.world.open_clients().values())))

    # Workers

    @precondition(lambda self: len(self.workers) < 4)
    @rule()
    def join(self) -> None:
        self.keys += 1
        self.workers.append(Worker(self.world, f"w{self.keys}"))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def join_under_the_same_key(self, data: st.DataObject) -> None:
        old = self.any_worker(data)
        self.workers.remove(old)
        self.workers.append(Worker(self.world, old.peer.key))
        assert self.workers[-1].replaced is old.link

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), comes_back=st.booleans())
    def die(self, data: st.DataObject, comes_back: bool) -> None:
        worker = self.any_worker(data)
        self.workers.remove(worker)
        worker.die()
        if comes_back:
            self.workers.append(Worker(self.world, worker.peer.key))

    def any_worker(self, data: st.DataObject) -> Worker:
        return data.draw(st.sampled_from(self.workers))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), count=st.integers(1, 20))
    def take(self, data: st.DataObject, count: int) -> None:
        self.any_worker(data).take(count)

    @precondition(lambda self: any(worker.ready() for worker in self.workers))
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.ready()]))
        worker.start(data.draw(st.sampled_from(worker.ready())))

    @precondition(lambda self: any(worker.ready() for worker in self.workers))
    @rule(data=st.data())
    def start_the_oldest(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([worker for worker in self.workers if worker.ready()]))
        oldest = worker.ready()[0]
        worker.start(oldest, in_order=oldest == min(worker.waiting))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.any_worker(data).finish()

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        self.any_worker(data).drain()

    @precondition(lambda self: any(worker.is_draining for worker in self.workers))
    @rule(data=st.data(), count=st.integers(1, 5))
    def release(self, data: st.DataObject, count: int) -> None:
        data.draw(st.sampled_from([worker for worker in self.workers if worker.is_draining])).release(count)

    # What holds at any time

    @invariant()
    def a_client_is_paused_for_a_reason(self) -> None:
        router = self.world.router
        held_up = {client.id for peer in router._peers.values() for client in peer.held_up}
        for client in self.world.open_clients().values():
            if client.is_paused:
                assert client.id in held_up or client in router._held  # type: ignore[operator]

    @invariant()
    def what_is_counted_is_so(self) -> None:
        router = self.world.router
        for peer in router._peers.values():
            assert peer.clients == sum(client.peer is peer for client in self.world.clients.values())
            rest = peer.window.rest()
            assert peer.window.weight == sum(len(event[2]) + EVENT_SIZE for event in rest)
        for client in router._held.clients():
            assert client.peer is None or client.peer.is_draining
        ready = [worker for worker in self.workers if not worker.is_draining]
        assert {id(peer) for peer in router._ready} == {id(worker.peer) for worker in ready}
        if router.waiting and ready:  # nobody waits for what is there, but new clients for a worker with room
            waiting = [client for client in router._held.clients() if client.peer is None]
            assert not waiting or all(peer.is_full or peer.was_full for peer in router._ready)

    @invariant()
    def events_are_begun_in_order(self) -> None:
        for client in self.world.clients.values():
            assert client.started == client.sent[: len(client.started)]

    @invariant()
    def what_waits_for_a_worker_is_bounded(self) -> None:
        for worker in self.workers:
            # Its limit, a read of each client, what was held of each, and their ends.
            assert worker.link.size <= 2 * LIMIT + len(self.world.clients) * 8 * (300 + 28) * 4


Cluster.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCluster = Cluster.TestCase

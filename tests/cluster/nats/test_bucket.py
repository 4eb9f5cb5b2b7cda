"""Buckets, leases and watches, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.cluster.nats.server import NatsServer, nats_cluster
from tests.cluster.nats.support import Noting, ScriptedNats, namespace, noting
from tests.net.support import LOOPS, Runner, until
from tidegate.cluster.nats import lease as lease_module
from tidegate.cluster.nats import watch as watch_module
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.lease import Lease, lease_value
from tidegate.cluster.nats.url import parse_nats
from tidegate.cluster.nats.watch import Watch
from tidegate.errors import ClusterError, ConfigurationError


@contextlib.asynccontextmanager
async def opened(server: NatsServer, ttl: int = 3) -> AsyncIterator[Bucket]:
    async with noting(server) as client:
        bucket = Bucket(client, client.subjects.bucket, ttl)
        await bucket.open()
        yield bucket


run_once = Runner(LOOPS["uvloop"])
"""Where a test takes seconds, one kind of loop is enough."""


class Watching(Watch):
    """Notes what it is told."""

    def __init__(self, bucket: Bucket) -> None:
        self.told: list[tuple[str, bytes | None]] = []
        super().__init__(bucket, lambda key, value: self.told.append((key, value)))

    async def __aenter__(self) -> Watching:
        self.start()
        assert await self.listed(10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def test_an_entry_is_written_read_and_taken_away(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket:
            assert await bucket.get("a.b") is None
            assert await bucket.list() == {}
            first = await bucket.create("a.b", b"one")
            assert first is not None
            assert await bucket.create("a.b", b"two") is None
            assert await bucket.get("a.b") == (b"one", first)
            second = await bucket.put("a.b", b"two")
            assert second is not None
            assert await bucket.put("a.b", b"three", revision=first) is None
            assert await bucket.put("c", b"x") is not None
            assert await bucket.list() == {"a.b": b"two", "c": b"x"}
            assert await bucket.list("a.>") == {"a.b": b"two"}
            with BlockingNatsClient(parse_nats(nats.url)) as client:
                assert await asyncio.to_thread(client.list_bucket, bucket.name) == {"a.b": b"two", "c": b"x"}
            assert not await bucket.delete("a.b", revision=first)
            assert await bucket.delete("a.b", revision=second)
            assert (await bucket.get("a.b") or b"")[0] is None
            assert await bucket.list() == {"c": b"x"}
            assert await bucket.create("a.b", b"again") is not None

    run(main())


def test_a_bucket_is_opened_by_as_many_as_like_to(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket:
            await asyncio.gather(*(Bucket(bucket.client, bucket.name).open() for _ in range(5)))

    run(main())


def test_a_bucket_of_something_else_is_refused(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            bucket = Bucket(client, client.subjects.bucket)
            await bucket._api("STREAM.CREATE", {"name": f"KV_{bucket.name}", "subjects": [f"$KV.{bucket.name}.>"]})
            with pytest.raises(ConfigurationError, match="that something else made"):
                await bucket.open()

    run(main())


def test_a_server_without_jetstream_is_told_of(run: Runner, own_nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(own_nats) as client:
            with pytest.raises(ConfigurationError, match="JetStream is not enabled"):
                await Bucket(client, "b").open()

    run(main())


def test_a_server_that_is_too_old_is_told_of(run: Runner) -> None:
    async def main() -> None:
        info = b'INFO {"version":"2.10.5","max_payload":1000}\r\n'
        async with ScriptedNats(info) as server, Noting(server.url) as client:
            with pytest.raises(ConfigurationError, match=r"version 2\.10\.5: the cluster needs 2\.11"):
                await Bucket(client, "b").open()

    run(main())


def test_a_watch_tells_what_there_is_and_then_each_change(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket:
            await bucket.put("a", b"1")
            await bucket.put("gone", b"1")
            await bucket.delete("gone")
            async with Watching(bucket) as watch:
                assert watch.told == [("a", b"1")]
                await bucket.put("a", b"1")
                await bucket.put("a", b"2")
                await bucket.put("b", b"1")
                await bucket.delete("b")
                await until(lambda: len(watch.told) == 4)
                assert watch.told[1:] == [("a", b"2"), ("b", b"1"), ("b", None)]
                assert watch.values == {"a": b"2"}
                assert watch.restarts == 0

    run(main())


def test_a_watch_of_an_empty_bucket_is_complete_at_once(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket, Watching(bucket) as watch:
            assert watch.told == []

    run(main())


def test_whoever_dies_is_gone_and_whoever_leaves_is_at_once(nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket, Watching(bucket) as watch:
            leases = [Lease(bucket, key, key.encode()) for key in ("dies", "leaves", "stays")]
            for lease in leases:
                assert await lease.take()
            await until(lambda: len(watch.values) == 3)
            assert {key: lease_value(value) for key, value in watch.values.items()} == {
                "dies": b"dies",
                "leaves": b"leaves",
                "stays": b"stays",
            }
            dies, leaves, stays = leases
            assert dies._task is not None
            dies._task.cancel()
            died = time.monotonic()
            await leaves.give_back()
            await until(lambda: "leaves" not in watch.values, 1)
            await until(lambda: "dies" not in watch.values, 10)
            assert 1 < time.monotonic() - died < 5
            assert set(watch.values) == {"stays"}
            await stays.give_back()

    run_once(main())


def test_of_two_with_one_key_the_second_is_refused(
    run: Runner, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)

    async def main() -> None:
        async with opened(nats) as bucket:
            first = Lease(bucket, "k", b"same")
            assert await first.take()
            assert not await Lease(bucket, "k", b"same").take()
            assert first.is_held
            await first.give_back()
            third = Lease(bucket, "k", b"same")
            assert await third.take()
            await third.give_back()

    run(main())


def test_an_entry_that_was_taken_over_is_lost(run: Runner, nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.05)

    async def main() -> None:
        async with opened(nats) as bucket:
            lost = asyncio.Event()
            lease = Lease(bucket, "k", b"v", lost.set)
            assert await lease.take()
            await bucket.put("k", b"somebody else's")
            await asyncio.wait_for(lost.wait(), 10)
            assert not lease.is_held
            await lease.give_back()
            found = await bucket.get("k")
            assert found is not None
            assert found[0] == b"somebody else's"

    run(main())


def test_an_entry_that_expired_meanwhile_is_written_again(
    run: Runner, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.05)

    async def main() -> None:
        async with opened(nats) as bucket:
            lease = Lease(bucket, "k", b"v")
            assert await lease.take()
            await bucket.delete("k")
            await until(lambda: lease._revision > 2)
            found = await bucket.get("k")
            assert found is not None
            assert lease_value(found[0] or b"") == b"v"
            lease.say(b"w")
            async with Watching(bucket) as watch:
                await until(lambda: lease_value(watch.values["k"]) == b"w")
            await lease.give_back()

    run(main())


def test_nobody_is_gone_where_the_leader_of_three_servers_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    servers = nats_cluster(tmp_path_factory.mktemp("nats"))

    async def main() -> None:
        urls = ",".join(server.url for server in servers)
        async with Noting(f"{urls}/{namespace()}") as client, Noting(f"{urls}/{namespace()}") as other:
            bucket = Bucket(client, "b")
            await bucket.open(15)
            status = await bucket._api("STREAM.INFO", {})
            assert status["config"]["num_replicas"] == 3
            lease = Lease(Bucket(other, "b"), "k", b"v")
            assert await lease.take()
            async with Watching(bucket) as watch:
                await until(lambda: watch.values)
                written = lease._revision
                leader = next(server for server in servers if server.name == status["cluster"]["leader"])
                leader.stop()
                await until(lambda: lease._revision > written + 2, 25)
                await client.connected(10)
                await until(lambda: watch.values, 10)
                assert [value for _, value in watch.told] == [watch.values["k"]]
                await lease.give_back()
                await until(lambda: not watch.values)

    async def start() -> None:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))

    try:
        asyncio.run(start())
        with asyncio.Runner(loop_factory=LOOPS["uvloop"]) as runner:
            runner.run(asyncio.wait_for(main(), 50))
    finally:
        for server in servers:
            server.stop()


def test_a_bucket_that_was_lost_is_made_anew(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(watch_module, "HEARTBEATS", 1.5)

    async def main() -> None:
        with NatsServer(tmp_path_factory.mktemp("nats"), jetstream=True) as server:
            async with opened(server) as bucket, Watching(bucket) as watch:
                lease = Lease(bucket, "k", b"v")
                assert await lease.take()
                await until(lambda: watch.values)
                with contextlib.suppress(ClusterError):
                    await bucket._api("STREAM.DELETE", {})
                await until(lambda: watch.restarts > 0 and watch.values)
                revision = lease._revision
                await until(lambda: 0 < lease._revision != revision)
                assert [value for _, value in watch.told] == [watch.values["k"]]
                await lease.give_back()

    run_once(main())

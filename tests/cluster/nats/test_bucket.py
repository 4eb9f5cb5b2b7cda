"""Buckets, leases and watches, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import Noting, ScriptedNats, noting
from tests.net.support import LOOPS, Runner, until
from tidegate.cluster.nats import lease as lease_module
from tidegate.cluster.nats import watch as watch_module
from tidegate.cluster.nats.announced import own_words
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.lease import Lease
from tidegate.cluster.nats.roster import DEFAULT_SILENCE
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

    def __init__(self, bucket: Bucket, silence: float = DEFAULT_SILENCE) -> None:
        self.told: list[tuple[str, bytes | None]] = []
        super().__init__(bucket, lambda key, value: self.told.append((key, value)), silence)

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
            assert (await bucket.look_up()).entries == {}
            first = await bucket.create("a.b", b"one")
            assert first is not None
            assert await bucket.create("a.b", b"two") is None
            assert await bucket.get("a.b") == (b"one", first)
            second = await bucket.put("a.b", b"two")
            assert second is not None
            assert await bucket.put("a.b", b"three", revision=first) is None
            assert await bucket.put("c", b"x") is not None
            assert (await bucket.look_up()).entries == {"a.b": b"two", "c": b"x"}
            assert (await bucket.look_up("a.>")).entries == {"a.b": b"two"}
            with BlockingNatsClient(parse_nats(nats.url)) as client:
                found = await asyncio.to_thread(client.look_up, bucket.name)
                assert found.entries == {"a.b": b"two", "c": b"x"}
            assert not await bucket.delete("a.b", revision=first)
            assert await bucket.delete("a.b", revision=second)
            assert (await bucket.get("a.b") or b"")[0] is None
            assert (await bucket.look_up()).entries == {"c": b"x"}
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


def test_a_watch_tells_who_there_is_and_then_what_each_says(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with opened(nats) as bucket:
            await bucket.put("a", b"1")
            await bucket.put("gone", b"1")
            await bucket.delete("gone")
            async with Watching(bucket) as watch:
                assert watch.told == [("a", b"1")]
                for key, value in (("a", b"1"), ("a", b"2"), ("b", b"1"), ("b", b""), ("c", b"")):
                    bucket.client.publish(bucket.client.subjects.beat(key), value)
                await until(lambda: len(watch.told) == 4)
                assert watch.told[1:] == [("a", b"2"), ("b", b"1"), ("b", None)]
                assert watch.values == {"a": b"2"}

    run(main())


def test_nobody_is_taken_for_gone_by_who_has_stood_still(
    run: Runner, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(watch_module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(watch_module, "STALL_SECONDS", 0.2)

    async def main() -> None:
        async with opened(nats) as bucket, Watching(bucket, silence=0.3) as watch:
            lease = Lease(bucket, "k", b"v")
            assert await lease.take()
            await until(lambda: watch.values)
            time.sleep(0.6)
            for _ in range(5):
                await asyncio.sleep(0.01)
            assert len(watch.told) == 1
            await lease.give_back()
            await until(lambda: not watch.values)

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
            assert {key: own_words(value) for key, value in watch.values.items()} == {
                "dies": b"dies",
                "leaves": b"leaves",
                "stays": b"stays",
            }
            dies, leaves, stays = leases
            for task in dies._tasks:
                task.cancel()
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
            assert own_words(found[0] or b"") == b"v"
            await lease.give_back()

    run(main())


def test_a_bucket_that_was_lost_is_made_anew(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.1)

    async def main() -> None:
        with NatsServer(tmp_path_factory.mktemp("nats"), jetstream=True) as server:
            async with opened(server) as bucket, Watching(bucket) as watch:
                lease = Lease(bucket, "k", b"v")
                assert await lease.take()
                await until(lambda: watch.values)
                with contextlib.suppress(ClusterError):
                    await bucket._api("STREAM.DELETE", {})
                revision = lease._revision
                await until(lambda: 0 < lease._revision != revision)
                assert await bucket.get("k") is not None
                assert [value for _, value in watch.told] == [watch.values["k"]]
                await lease.give_back()

    run_once(main())

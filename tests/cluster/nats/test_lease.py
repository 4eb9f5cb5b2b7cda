"""An entry whose owner can't ask the bucket, as behind a cut."""

from __future__ import annotations

import pytest

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import noting
from tests.net.support import Runner, until
from tidegate.cluster.nats import lease as lease_module
from tidegate.cluster.nats.bucket import Bucket
from tidegate.cluster.nats.lease import Lease
from tidegate.cluster.nats.watch import Watch


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(lease_module, "ALONE_SECONDS", 0.3)


def test_an_entry_is_presumed_where_nobody_else_says_that_it_is_his(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            bucket = Bucket(client, client.subjects.bucket)  # which is not there
            first, second = leases = [Lease(bucket, "k", b"v") for _ in range(2)]
            for lease in leases:
                lease.listen()
            assert not first.presume()
            await until(first.presume)
            assert first.is_held
            second.connected()
            counted = client.counters.received
            await until(lambda: client.counters.received > counted + 20)  # a second or so
            assert not second.presume()
            await first.give_back()
            await until(second.presume)
            await second.give_back()
            assert not second.is_held

    run(main())


def test_what_was_presumed_is_given_up_where_the_bucket_says_whose_it_is(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            bucket = Bucket(client, client.subjects.bucket)
            told: dict[str, bytes | None] = {}
            watch = Watch(bucket, told.__setitem__)
            watch.start()
            presuming, owner = [Lease(bucket, "k", b"v") for _ in range(2)]
            presuming.listen()
            await until(presuming.presume)
            await bucket.open()
            assert await owner.take()
            assert not await presuming.take()
            assert not presuming.is_held
            await presuming.give_back()
            await until(lambda: told.get("k") == owner.value)
            await owner.give_back()
            await until(lambda: told["k"] is None)
            await watch.stop()

    run(main())


def test_what_was_presumed_is_written_once_it_can_be(run: Runner, nats: NatsServer) -> None:
    async def main() -> None:
        async with noting(nats) as client:
            bucket = Bucket(client, client.subjects.bucket)
            lease = Lease(bucket, "k", b"v")
            lease.listen()
            await until(lease.presume)
            await bucket.open()
            assert await lease.take()
            assert (await bucket.look_up()).entries == {"k": lease.value}
            await lease.give_back()
            assert (await bucket.look_up()).entries == {}

    run(main())

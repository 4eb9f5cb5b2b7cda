"""Three hosts with a NATS server, two gateways and a worker each, and pushes from a fourth.

One test, so that all of it is started once: each scene leaves everything as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.cable import one_host_cut_off
from tests.hosts.machines import FOURTH, HOSTS, Machines, machines
from tests.hosts.scenes import every_method, joins, packets, server_killed

GONE_SECONDS = 5.0
"""Within which nobody knows of a gateway any more that can't be reached."""
SLACK = 5.0
"""For a question that is under way, and a machine with other things to do."""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Machines]:
    with machines(tmp_path) as made:
        yield made


@pytest.mark.timeout(120)
def test_a_cluster_over_three_hosts_is_one_and_outlives_the_loss_of_a_host_and_of_a_server(hosts: Machines) -> None:
    hosts.network.on(FOURTH, asyncio.run, _play(hosts))


async def _play(hosts: Machines) -> None:
    await every_method(hosts)
    await packets(hosts)
    await joins(hosts, 300)
    leader = await hosts.leader()
    took = await one_host_cut_off(hosts, leader)
    assert all(took[f"gone for {way}"] < GONE_SECONDS + SLACK for way in ("client", "async client", "worker")), took
    assert all(took[f"longest pause on {host}"] < SLACK for host in HOSTS), took
    await hosts.whole()
    await server_killed(hosts, await hosts.leader())
    assert await asyncio.to_thread(hosts.known) == [6, 6, 6]

"""``python -m tests.hosts [--joins N]``: see the package."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.hosts.cable import one_host_cut_off
from tests.hosts.machines import FOURTH, HOSTS, Machines, machines
from tests.hosts.scenes import every_method, joins, packets, server_killed


async def play(found: Machines, count: int) -> None:
    began = time.monotonic()

    def say(what: str, outcome: object = "") -> None:
        print(f"{time.monotonic() - began:6.1f} s  {what} {outcome}", flush=True)

    await every_method(found)
    say("all of the push API")
    await packets(found)
    say("packets came to the process that they were for")
    await joins(found, count)
    say(f"{count} joins, followed at once by pushes, in each of three ways")
    for host in HOSTS:
        leader = await found.leader()
        await found.whole()
        took = await one_host_cut_off(found, host)
        say(f"{host} cut off and back, the bucket led by {leader}")
        for what, seconds in took.items():
            say(f"    {what}", f"{seconds:.2f}")
    for host in HOSTS:
        leader = await found.leader()
        await found.whole()
        say(f"server of {host} killed and back, the bucket led by {leader}; not sure", await server_killed(found, host))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    parser.add_argument("--joins", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tghosts") as folder, machines(Path(folder)) as found:
        print("started", flush=True)
        found.network.on(FOURTH, asyncio.run, play(found, options.joins))
    return 0


if __name__ == "__main__":
    sys.exit(main())

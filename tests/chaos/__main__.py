"""``python -m tests.chaos --minutes N [--seed S] [--cluster nats]``: see the package."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run
from tests.cluster.nats.server import NatsServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="of the order of the troubles; any, unless given")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two troubles, on average")
    parser.add_argument("--cluster", choices=("register", "nats"), default="register", help="where its members meet")
    parser.add_argument("--log", action="store_true", help="show the app's log")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    os.environ.setdefault("PYTEST_XDIST_WORKER", f"gw{10 + os.getpid() % 10}")  # ports that no test is given
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tgchaos")))
        nats = None
        if options.cluster == "nats":
            nats = stack.enter_context(NatsServer(folder, jetstream=True)).url
        seconds = options.minutes * 60
        outcome = run(folder, seconds, seed, clients=options.clients, pause=options.pause, nats=nats)
    if options.log:
        print(outcome.log)
    print(outcome)
    return 1 if outcome.account.problems else 0


if __name__ == "__main__":
    sys.exit(main())

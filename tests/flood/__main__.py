"""``python -m tests.flood [FLOOD…] [--seconds N]``: see the package."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from tests.flood.app import App
from tests.flood.run import FLOODS, flood, hostile

SCHEMES = ("websocket", "text", "frame", "tcp")


async def run(app: App, names: list[str], seconds: float, show_log: bool) -> bool:
    """Gives whether all went well."""
    well = True
    async with hostile(app) as enemies:
        for name in names:
            result = await flood(app, enemies, FLOODS[name], seconds)
            print(result, flush=True)
            if show_log:
                print("\n".join(result.lines), flush=True)
            well &= not result.problems
    return well


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.flood", description="Flood an app.")
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help=f"all unless given: {', '.join(FLOODS)}")
    parser.add_argument("--seconds", type=float, default=12, help="for each; handshakes are given up after 10")
    parser.add_argument("--rate", type=int, default=0, help="messages a second that a client may send")
    parser.add_argument("--log", action="store_true", help="show what the app logs")
    given = parser.parse_args()
    if unknown := [name for name in given.floods if name not in FLOODS]:
        parser.error(f"there is no flood {unknown[0]!r}: there are {', '.join(FLOODS)}")
    os.environ.setdefault("PYTEST_XDIST_WORKER", f"gw{10 + os.getpid() % 10}")  # ports that no test is given
    with tempfile.TemporaryDirectory(prefix="tgflood") as folder:
        app = App(Path(folder), SCHEMES, {"max_messages_per_second": given.rate})
        try:
            app.start()
            return 0 if asyncio.run(run(app, given.floods or list(FLOODS), given.seconds, given.log)) else 1
        finally:
            app.clear()


if __name__ == "__main__":
    sys.exit(main())

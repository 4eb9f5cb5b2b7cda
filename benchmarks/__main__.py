"""``python -m benchmarks NAME [--json FILE] [--runs N]``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import signal
import sys
import time
from types import FrameType
from typing import Any

from benchmarks import burst, echo, handshake, memory, relay, room
from benchmarks.processes import BenchmarkError, prepare

BENCHMARKS = {"burst": burst, "memory": memory, "echo": echo, "handshake": handshake, "relay": relay, "room": room}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What Tidegate costs.")
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--runs", type=positive, metavar="N", help="how often to measure; each has its own default")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        measure(list(BENCHMARKS) if given.name == "all" else [given.name], given.runs, given.json)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    return 0


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def interrupt(*_: int | FrameType | None) -> None:
    """End once, in good order: what was started is stopped on the way out."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def measure(names: list[str], runs: int | None, file: str | None) -> None:
    where = prepare()
    print(f"Python {platform.python_version()}, uvloop {importlib.metadata.version('uvloop')}; {where}\n")
    found: dict[str, Any] = {}
    for name in names:
        benchmark = BENCHMARKS[name]
        times = runs or benchmark.RUNS
        print(f"{name}: {(benchmark.__doc__ or '').partition(chr(10))[0]}", flush=True)
        start = time.monotonic()
        rows = benchmark.run(times)
        print(f"  medians of {times} runs (lowest to highest), {time.monotonic() - start:.0f} s\n")
        for row in rows:
            print(f"{row}\n", flush=True)
        found[name] = {"runs": times, "rows": [row.as_dict() for row in rows]}
    if file is not None:
        machine = {
            "system": platform.platform(),
            "python": platform.python_version(),
            "uvloop": importlib.metadata.version("uvloop"),
            "cores": where,
        }
        with open(file, "w") as output:
            json.dump({"machine": machine, "benchmarks": found}, output, indent=2)
            output.write("\n")


if __name__ == "__main__":
    sys.exit(main())

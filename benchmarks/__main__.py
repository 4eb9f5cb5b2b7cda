"""``python -m benchmarks NAME [--json FILE] [--runs N]``, and ``python -m benchmarks report FILE… [--svg FILE]``."""

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

from benchmarks import (
    cluster_size,
    echo,
    fanout,
    growth,
    handshake,
    memory,
    native,
    push,
    report,
    room,
    scale,
    side_by_side,
)
from benchmarks.processes import BenchmarkError, prepare

BENCHMARKS = {
    "fanout": fanout,
    "room": room,
    "echo": echo,
    "memory": memory,
    "handshake": handshake,
    "push": push,
    "growth": growth,
    "scale": scale,
    "cluster": cluster_size,
}
APART = ("cluster",)
"""What takes as long as half of the others, and is asked for by itself."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What Tidegate costs.")
    parser.add_argument("name", choices=[*BENCHMARKS, "peers", "all", "report"])
    parser.add_argument("files", nargs="*", metavar="FILE", help="for report: what --json has written")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--runs", type=positive, metavar="N", help="how often to measure; each has its own default")
    parser.add_argument("--svg", metavar="FILE", default="benchmarks.svg", help="for report: where to draw the chart")
    given = parser.parse_args()
    if given.name == "report":
        return draw(given.files, given.svg)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        measure(
            [name for name in BENCHMARKS if name not in APART] if given.name == "all" else [given.name],
            given.runs,
            given.json,
        )
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return 130
    return 0


def draw(files: list[str], svg: str) -> int:
    """Draw what was measured."""
    if not files:
        print("benchmarks: report needs the files that --json has written", file=sys.stderr)
        return 2
    try:
        report.write(files, svg)
    except (OSError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(svg)
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
    about = native.describe()
    print(f"Python {platform.python_version()}, uvloop {importlib.metadata.version('uvloop')}; {where}; {about}\n")
    found: dict[str, Any] = {}
    for name in names:
        benchmark = side_by_side if name == "peers" else BENCHMARKS[name]
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
            "references": about,
        }
        with open(file, "w") as output:
            json.dump({"machine": machine, "benchmarks": found}, output, indent=2)
            output.write("\n")


if __name__ == "__main__":
    sys.exit(main())

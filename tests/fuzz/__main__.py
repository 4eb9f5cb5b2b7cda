"""``python -m tests.fuzz [TARGET…] [--seconds N] [--asan]``, and ``python -m tests.fuzz TARGET --replay FILE``.

What the fuzzer has learned and found lies in ``.fuzz/``: a corpus for each target, from which the next run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.sanitized import SanitizerError, build_sanitized
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

PLACE = Path(".fuzz")
RUN_SECONDS = 10
"""That one input may take; what is so slow is a finding."""
MEMORY = 1500
"""MiB that the fuzzer may take, sanitizer and corpus and all."""
STATISTICS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
COVERAGE = re.compile(r"cov: (\d+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the codecs.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all unless given: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=20, help="for each target")
    parser.add_argument("--asan", action="store_true", help="build the compiled helper with AddressSanitizer (gcc)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one target once, without the fuzzer")
    given = parser.parse_args()
    if unknown := [name for name in given.targets if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]!r}: there are {', '.join(TARGETS)}")
    targets = [TARGETS[name] for name in given.targets or TARGETS]
    if given.replay is not None:
        for target in targets:
            target.run(given.replay.read_bytes())
        return 0
    try:
        more = build_sanitized(PLACE / "asan") if given.asan else {}
    except SanitizerError as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    findings = [target.name for target in targets if not fuzz(target, given.seconds, more)]
    if findings:
        print(f"fuzz: there are findings in {', '.join(findings)}", file=sys.stderr)
    return 1 if findings else 0


def fuzz(target: Target, seconds: int, more: dict[str, str]) -> bool:
    """Fuzz a target for a time; gives whether all went well."""
    corpus, found, log = PLACE / "corpus" / target.name, PLACE / "found", PLACE / f"{target.name}.log"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    command = [
        *(sys.executable, "-m", "tests.fuzz.child", target.name, str(corpus)),
        f"-max_total_time={seconds}",
        f"-max_len={target.max_size}",
        f"-timeout={RUN_SECONDS}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={found}/{target.name}-",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    # The loops in Python show the fuzzer their branches; those in C have a target of their own, beside their twins.
    environment = {**os.environ, "TIDEGATE_PURE_PYTHON": "1", **more}
    with log.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
    text = log.read_text(errors="replace")
    runs, coverage = STATISTICS.findall(text) or ["?"], COVERAGE.findall(text) or ["?"]
    state = "ok" if done.returncode == 0 else f"FAILED ({done.returncode})"
    print(f"{target.name:20} {seconds:5} s {runs[-1]:>10} runs {coverage[-1]:>6} branches  {state}", flush=True)
    if done.returncode:
        print("\n".join(text.splitlines()[-40:]), file=sys.stderr)
        print(f"Again: python -m tests.fuzz {target.name} --replay FILE (as named above)", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

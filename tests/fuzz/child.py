"""One target under the fuzzer, in a process of its own: ``python -m tests.fuzz.child TARGET [libFuzzer's options]``."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import logging
import os
import sys

import atheris

from tests.fuzz.sanitized import SPEEDUPS


def load_speedups(path: str) -> None:
    loader = importlib.machinery.ExtensionFileLoader("tidegate._speedups", path)
    spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[loader.name] = module  # where it is found, though its package is not imported before it is instrumented


def main() -> None:
    name = sys.argv.pop(1)
    logging.lastResort = None  # what is refused is logged, a thousand times a second
    if path := os.environ.get(SPEEDUPS):
        load_speedups(path)
    with atheris.instrument_imports(include=["tidegate"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

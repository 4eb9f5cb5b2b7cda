"""Programs in C, compiled into a temporary folder when they are first needed; without a compiler there are none."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["describe", "program"]

FOLDER = Path(__file__).resolve().parent / "reference"
COMPILE_SECONDS = 60


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tidegate-bench-c-")  # it goes when this process does


@functools.cache
def program(name: str) -> Path | None:
    """Where a program is, compiled from ``reference/NAME.c``; None where it can't be."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    path = Path(folder().name) / name
    command = [compiler, "-O2", "-o", str(path), str(FOLDER / f"{name}.c")]
    done = subprocess.run(command, capture_output=True, timeout=COMPILE_SECONDS)
    return path if done.returncode == 0 else None


def describe() -> str:
    """A line on what the references and the load are written in."""
    if program("load") and program("send") and program("echo"):
        return "references and load in C"
    return "references and load in Python, since there is no working C compiler: the load may be what limits"

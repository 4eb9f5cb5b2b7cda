"""The compiled helper with AddressSanitizer, so that a read or a write beyond what it was given is seen."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

__all__ = ["SPEEDUPS", "SanitizerError", "build_sanitized"]

SPEEDUPS = "TIDEGATE_FUZZ_SPEEDUPS"
"""The variable that says where a build is that is to be loaded in place of the installed one."""

SOURCES = sorted((Path(__file__).parents[2] / "src" / "tidegate").glob("_*.c"))
COMPILE = ("-c", "-fPIC", "-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address")
RUNTIME = "asan_with_fuzzer.so"
"""Of atheris: the sanitizer and the fuzzer in one, since the coverage of either would hide that of the other."""


class SanitizerError(Exception):
    """It can't be built here."""


def build_sanitized(place: Path) -> dict[str, str]:
    """Build it; gives the environment in which it can be loaded.

    Raises:
        SanitizerError: there is no gcc that can, or no atheris.
    """
    gcc = shutil.which("gcc")
    runtime = Path(sysconfig.get_path("platlib")) / RUNTIME
    if gcc is None or not runtime.exists():
        raise SanitizerError("--asan needs gcc, and a build of atheris with its sanitizer")
    place.mkdir(parents=True, exist_ok=True)
    built = (place / "_speedups.so").resolve()
    compiled = [str(place / f"{source.stem}.o") for source in SOURCES]
    include = f"-I{sysconfig.get_path('include')}"
    # Linked without the sanitizer's own library: what it needs of that is in the one that is loaded before all others.
    for command in (
        *([gcc, *COMPILE, include, str(source), "-o", to] for source, to in zip(SOURCES, compiled, strict=True)),
        [gcc, "-shared", *compiled, "-o", str(built)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SanitizerError(f"the compiled helper can't be built with a sanitizer:\n{done.stderr}")
    return {
        SPEEDUPS: str(built),
        "LD_PRELOAD": str(runtime),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter itself leaks on purpose
        "PYTHONMALLOC": "malloc",  # each object by itself, with a fence around it
    }

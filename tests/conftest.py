"""What every test has: a folder for an app, and no skips where nothing may be skipped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.process.support import Place

# More by hand, EXAMPLES=1000; the fuzzer goes deeper. A busy machine is no mistake, and CI says the
# same each time.
settings.register_profile(
    "tests",
    max_examples=int(os.environ.get("EXAMPLES", "50")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("tests")

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder for control sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        yield Path(folder)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder for an app; no process of it stays, however the test ends."""
    place = Place(tmp_path)
    yield place
    place.clear()


def allowed_skips() -> tuple[str, ...]:
    lines = (line.split("#")[0].strip() for line in ALLOWED.read_text().splitlines())
    return tuple(line for line in lines if line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Under TIDEGATE_NO_SKIPS a skipped test has failed, unless tests/allowed_skips.txt names it."""
    outcome = yield
    report = outcome.get_result()
    if (
        os.environ.get("TIDEGATE_NO_SKIPS")
        and report.skipped
        and not hasattr(report, "wasxfail")
        and not item.nodeid.startswith(allowed_skips() or ("\0",))
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {call_reason(report.longrepr)}"


def call_reason(longrepr: Any) -> str:
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: twice the cores, for half of a test's time is waiting; `tests.ports` has ports for so many."""
    return min(2 * (os.cpu_count() or 1), 24)

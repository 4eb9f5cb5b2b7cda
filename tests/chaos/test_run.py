"""A short run: `make chaos` has long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run


@pytest.mark.timeout(120)
def test_every_message_is_accounted_for_while_processes_are_killed_stopped_and_replaced(tmp_path: Path) -> None:
    outcome = run(tmp_path, 6, seed=6, clients=15, pause=0.3)
    assert outcome.done.total() > 5
    assert not outcome.account.problems, f"{outcome}\n{outcome.log}"

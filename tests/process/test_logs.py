from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from tidegate.process import logs


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


def test_a_line_says_when_how_grave_and_which_process(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("100% chat#0")
    logs.set_up("100% chat#0")  # and nothing comes twice
    logging.getLogger("tidegate").info("%s connections", 3)
    logging.getLogger("tidegate").debug("not this")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO 100% chat#0 \[\d+\] 3 connections", line)

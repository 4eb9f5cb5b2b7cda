"""What a supervisor is started with, and the commands that start processes."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import Any

from tidegate.process.target import Target

__all__ = ["CHILD", "SUPERVISE", "Launch", "command"]

CHILD, SUPERVISE = "_child", "_supervise"


@dataclass(frozen=True, slots=True)
class Launch:
    """One app to run.

    Attributes:
        target: the app.
        name: what people call it.
        config: path of a TOML file.
        watch: reload when a file changes.
        daemon: it has no terminal.
        log_file: where its output goes as a daemon.
        pid_file: one more file with its process id, for init systems.
        note: a line to print once it runs.
    """

    target: Target
    name: str
    config: str | None = None
    watch: bool = False
    daemon: bool = False
    log_file: str | None = None
    pid_file: str | None = None
    note: str | None = None

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Launch:
        """From another process."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "target": Target(**fields["target"])})


def command(what: str, fd: int, title: str) -> list[str]:
    """How a process of ours is executed; the title is for those who read `ps`.

    With -P the current folder is not searched for modules, so that none of the user's takes the place of Python's.
    """
    return [sys.executable, "-P", "-m", "tidegate", what, str(fd), title]

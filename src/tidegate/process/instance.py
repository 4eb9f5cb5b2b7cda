"""Running apps on this machine: one folder with a lock, a process id, a control socket and a log for each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import ConfigurationError
from tidegate.process.target import Target

__all__ = ["Instance", "running", "run_folder"]

MAX_SOCKET_PATH = 100  # sockaddr_un has 108 bytes on Linux, 104 on macOS
LOCK_SECONDS = 0.3
"""For others to let go of the lock: whoever asks whether an app runs holds it for a moment."""


def run_folder() -> Path:
    """Where the files are: `TIDEGATE_RUN_DIR`, else the user's state folder, else one in the temporary folder.

    Raises:
        ConfigurationError: where no such folder can be had for this user alone.
    """
    given = os.environ.get("TIDEGATE_RUN_DIR")
    if given:
        candidates = [Path(given)]
    else:
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        candidates = [Path(state) / "tidegate", Path(tempfile.gettempdir()) / f"tidegate-{os.getuid()}"]
    for folder in candidates:
        if len(str(folder)) > MAX_SOCKET_PATH - 40:
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return folder
    raise ConfigurationError(
        f"no folder for control sockets: {candidates[-1]} must be a short path, yours, and not writable by others. "
        "Set TIDEGATE_RUN_DIR"
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """The files of one app. Which app it is follows from its target, so that one runs once."""

    key: str

    @classmethod
    def of(cls, target: Target, name: str) -> Instance:
        """The instance of a target."""
        # A secret is no part of which app it is, and not even its hash belongs into a file's name.
        arguments = sorted(item for item in (target.arguments or {}).items() if "secret" not in item[0])
        identity = f"{target}\0{arguments}"
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:24]
        return cls(f"{safe}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}")

    @property
    def socket(self) -> Path:
        """Takes commands."""
        return run_folder() / f"{self.key}.sock"

    @property
    def pid_file(self) -> Path:
        """Holds the supervisor's process id, and is locked by it while it lives."""
        return run_folder() / f"{self.key}.pid"

    @property
    def log_file(self) -> Path:
        """Where a daemon's output goes unless told otherwise."""
        return run_folder() / f"{self.key}.log"

    def lock(self) -> int:
        """Become the one that runs; gives the descriptor that holds the lock.

        Raises:
            ConfigurationError: where it runs already.
        """
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            fd = os.open(self.pid_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _try_lock(fd) and _is_file(fd, self.pid_file):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
                return fd
            os.close(fd)
            if time.monotonic() >= deadline:
                raise ConfigurationError(f"it is running already (pid {self.pid()}): 'tidegate stop' ends it")
            time.sleep(0.01)

    def is_running(self) -> bool:
        """Whether a supervisor lives. The lock ends with its process, however that ended."""
        try:
            fd = os.open(self.pid_file, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _try_lock(fd)
        finally:
            os.close(fd)

    def pid(self) -> int | None:
        """The supervisor's process id."""
        try:
            return int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None

    def clean(self) -> None:
        """Take away what only a running app has."""
        for path in (self.socket, self.pid_file):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_file(fd: int, path: Path) -> bool:
    """Whether an open file is still the one of that name: a predecessor may have taken it away just now."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _try_lock(fd: int) -> bool:
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def running() -> list[Instance]:
    """The apps that run now."""
    instances = (Instance(path.stem) for path in sorted(run_folder().glob("*.pid")))
    return [instance for instance in instances if instance.is_running()]

"""Running a supervisor to its end: in this terminal, or in the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.process import logs
from tidegate.process.instance import Instance
from tidegate.process.launch import SUPERVISE, Launch, command
from tidegate.process.slots import StartError
from tidegate.process.supervisor import Supervisor

__all__ = ["receive_launch", "run", "start_in_background"]

Started = Callable[[list[dict[str, Any]], str | None], None]


def run(launch: Launch, read_config: Callable[[], dict[str, Any]], started: Started) -> None:
    """Supervise an app until it is stopped; where it is restarted, this process is replaced.

    Raises:
        ConfigurationError: it can't be started as it is.
        StartError: its code does not import.
    """
    logs.set_up("supervisor")
    instance = Instance.of(launch.target, launch.name)
    lock = instance.lock()

    async def main() -> bool:
        supervisor = Supervisor(launch, read_config, started)
        await supervisor.run()
        return supervisor.restarting

    try:
        if launch.pid_file is not None:
            _write_pid_file(launch.pid_file)
        restarting = asyncio.run(main())
    finally:
        instance.clean()
        os.close(lock)
        if launch.pid_file is not None:
            with contextlib.suppress(OSError):
                os.unlink(launch.pid_file)
    if restarting:
        reading, writing = os.pipe()
        os.write(writing, launch.to_json().encode() + b"\n")
        os.close(writing)
        os.set_inheritable(reading, True)
        sys.stdout.flush()
        os.execv(sys.executable, command(SUPERVISE, reading, launch.name))  # noqa: S606


def _write_pid_file(path: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        raise ConfigurationError(f"the pid file {path} can't be written: {error.strerror}") from error


def receive_launch(fd: int) -> Launch:
    """Read what a new supervisor process is to run."""
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(fd, 65536)
        if not data:
            raise ConfigurationError("this command is Tidegate's own")
        line += data
    return Launch.from_json(line.decode())


def start_in_background(launch: Launch) -> tuple[list[dict[str, Any]], str | None]:
    """Start a supervisor without a terminal, and wait until its processes serve.

    Returns:
        A row for each worker, and what keeps a process from serving, if anything.

    Raises:
        ConfigurationError: it can't be started as it is.
        StartError: its code does not import.
    """
    ours, theirs = socket.socketpair()
    assert launch.log_file is not None
    try:
        log = os.open(launch.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the log file {launch.log_file} can't be written: {error.strerror}") from error
    with ours:
        with theirs:
            subprocess.Popen(
                command(SUPERVISE, theirs.fileno(), launch.name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        os.close(log)
        ours.sendall(launch.to_json().encode() + b"\n")
        with ours.makefile("rb") as lines:
            line = lines.readline()
    if line:
        said = json.loads(line)
        if "error" not in said:
            return said["rows"], said["problem"]
        if said["traceback"]:
            raise StartError(said["error"], said["traceback"])
        raise ConfigurationError(said["error"])
    raise ConfigurationError(f"it ended at its start: see {launch.log_file}")

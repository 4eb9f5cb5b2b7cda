"""Starting an app from the command line: here, or in the background."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from tidegate import tables
from tidegate.errors import ConfigurationError
from tidegate.process import supervise as supervising
from tidegate.process.instance import Instance
from tidegate.process.launch import Launch
from tidegate.process.settings import load_config
from tidegate.process.target import Target

__all__ = ["announcer", "background_options", "launch", "name_of"]

F = TypeVar("F", bound=Callable[..., Any])


def background_options(command: F) -> F:
    """Those of every command that starts an app."""
    for option in (
        click.option("--pid-file", type=click.Path(), help="Write the process id there as well."),
        click.option("--log-file", type=click.Path(), help="With -d: where the output goes."),
        click.option("-d", "--daemon", is_flag=True, help="Run in the background."),
    ):
        command = option(command)
    return command


def name_of(target: Target) -> str:
    """What people call an app."""
    return Path(target.path).stem if target.path else target.module.removesuffix(".__main__").rpartition(".")[2]


def launch(what: Launch, *, daemon: bool, log_file: str | None, pid_file: str | None) -> None:
    """Run an app here, or in the background."""
    instance = Instance.of(what.target, what.name)
    what = replace(what, pid_file=pid_file and os.path.abspath(pid_file))
    load_config(what.config)
    if not daemon:
        supervising.run(what, lambda: load_config(what.config), announcer(what))
        return
    if instance.is_running():
        raise ConfigurationError(f"it is running already (pid {instance.pid()}): 'tidegate stop' ends it")
    what = replace(what, daemon=True, log_file=os.path.abspath(log_file or instance.log_file))
    rows, problem = supervising.start_in_background(what)
    tables.announce(what.name, rows)
    if what.note:
        click.echo(what.note)
    click.echo(f"in the background, pid {instance.pid()}, log {what.log_file}")
    if problem:
        raise ConfigurationError(f"it runs, but a process does not start: {problem}")


def announcer(what: Launch) -> Callable[[list[dict[str, Any]], str | None], None]:
    """How an app in the foreground shows what listens where."""

    def announce(rows: list[dict[str, Any]], problem: str | None) -> None:
        tables.announce(what.name, rows)
        click.echo("ready" if problem is None else f"a process does not start: {problem}")
        if what.note:
            click.echo(what.note)
        if not what.daemon:
            click.echo("Ctrl-C ends it")

    return announce

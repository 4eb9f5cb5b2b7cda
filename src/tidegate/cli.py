"""The command line: starting an app, and acting on a running one. Other commands are in `commands`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

import click

from tidegate import tables
from tidegate.commands.demo import demo
from tidegate.commands.push_server import push_server
from tidegate.commands.send import send
from tidegate.commands.starting import announcer, background_options, launch, name_of
from tidegate.errors import ConfigurationError, TidegateError
from tidegate.process import supervise as supervising
from tidegate.process.control import ask
from tidegate.process.instance import Instance, running
from tidegate.process.launch import Launch
from tidegate.process.settings import load_config
from tidegate.process.slots import StartError
from tidegate.process.target import parse_target

__all__ = ["main", "run_app", "supervise"]

RELOAD_SECONDS = 600
STOP_SECONDS = 30
START_SECONDS = 30
"""That an end may take beside the time after which the supervisor kills what does not end by itself, and a start."""
POLL_SECONDS = 0.05


class Commands(click.Group):
    """Prints our errors as one line, and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TidegateError as error:
            fail(error)


def fail(error: TidegateError) -> None:
    """Say what is wrong and leave."""
    traceback = getattr(error, "traceback", None)
    if traceback:
        click.echo(traceback.rstrip(), err=True)
    click.echo(f"tidegate: {error}", err=True)
    sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidegate")
def main() -> None:
    """Tidegate holds client connections and lets any backend push to them."""


main.add_command(demo)
main.add_command(push_server)
main.add_command(send)


# Starting


@main.command()
@click.argument("app")
@background_options
@click.option("--watch", is_flag=True, help="Reload when a Python file in the app's folder changes.")
@click.option("--config", type=click.Path(), help="Read settings from this TOML file.")
def start(app: str, daemon: bool, log_file: str | None, pid_file: str | None, watch: bool, config: str | None) -> None:
    """Run an APP: app.py, app.py:name or package.module:name."""
    if watch:
        try:
            import watchfiles  # noqa: F401
        except ImportError:
            raise ConfigurationError("--watch needs watchfiles: pip install 'tidegate[watch]'") from None
    target = parse_target(app)
    launch(
        Launch(target, name_of(target), config=config and os.path.abspath(config), watch=watch),
        daemon=daemon,
        log_file=log_file,
        pid_file=pid_file,
    )


def supervise(fd: int) -> int:
    """Be the supervisor that another process has started, and tell it how that went."""
    os.set_inheritable(fd, False)
    what = supervising.receive_launch(fd)
    starter = open(fd, "r+b", buffering=0)  # noqa: SIM115 - until it is told

    def tell(**said: Any) -> None:
        with contextlib.suppress(OSError, ValueError), starter:  # nobody listens after a restart, or once it was told
            starter.write(json.dumps(said).encode() + b"\n")

    def started(rows: list[dict[str, Any]], problem: str | None) -> None:
        announcer(what)(rows, problem)
        tell(rows=rows, problem=problem)

    try:
        supervising.run(what, lambda: load_config(what.config), started)
    except TidegateError as error:
        tell(error=str(error), traceback=getattr(error, "traceback", None))
        fail(error)
    return 0


# Acting on a running app

app_option = click.option("--app", help="Which app, where several run: as given to start, or its name.")


def find(app: str | None) -> Instance:
    """The running app that is meant.

    Raises:
        ConfigurationError: where there is none, or it is not clear which.
    """
    instances = running()
    if app is None:
        if not instances:
            raise ConfigurationError("no app is running")
        if len(instances) > 1:
            names = ", ".join(instance.key for instance in instances)
            raise ConfigurationError(f"several apps are running: say which with --app: {names}")
        return instances[0]
    for instance in instances:
        if app == instance.key:
            return instance
    named = [instance for instance in instances if instance.key.rpartition("-")[0] == app]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise ConfigurationError(f"several apps are called so: {', '.join(instance.key for instance in named)}")
    with contextlib.suppress(ConfigurationError):
        target = parse_target(app)
        instance = Instance.of(target, name_of(target))
        if instance.is_running():
            return instance
    raise ConfigurationError(f"{app} is not running")


def request(instance: Instance, op: str, seconds: float = 10, **parameters: Any) -> Any:
    """Ask a running app.

    Raises:
        StartError: with the traceback of its new code.
        ConfigurationError: anything else.
    """
    answer = ask(instance.socket, op, seconds, **parameters)
    if "error" in answer:
        if answer.get("traceback"):
            raise StartError(answer["error"], answer["traceback"])
        raise ConfigurationError(answer["error"])
    return answer["result"]


graceful_option = click.option("-g", "--graceful", is_flag=True, help="Let work in progress finish.")


@main.command()
@app_option
@graceful_option
def stop(app: str | None, graceful: bool) -> None:
    """Stop the running app."""
    instance = find(app)
    answer = request(instance, "stop", graceful=graceful)
    pid, seconds = answer["pid"], answer["seconds"] + STOP_SECONDS
    deadline = time.monotonic() + seconds
    while instance.is_running() and instance.pid() in (pid, None):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{instance.key} (pid {pid}) has not ended after {seconds:g} seconds: see its log")
        time.sleep(POLL_SECONDS)
    click.echo(f"stopped {instance.key} (pid {pid})")


@main.command()
@app_option
@graceful_option
def restart(app: str | None, graceful: bool) -> None:
    """Stop the running app and start it anew, in the same terminal or background."""
    instance = find(app)
    answer = request(instance, "restart", RELOAD_SECONDS, graceful=graceful)
    before = answer["started"]
    deadline = time.monotonic() + answer["seconds"] + START_SECONDS
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        with contextlib.suppress(TidegateError):
            status = request(instance, "status")
            states = {row["state"] for row in status["processes"]}
            if status["started"] != before and states == {"running"}:
                click.echo(f"restarted {instance.key} (pid {status['pid']})")
                return
    raise ConfigurationError(f"{instance.key} was stopped and does not run again: see its log")


@main.command()
@app_option
@click.option("--all", "everything", is_flag=True, help="Also processes that are not reloadable.")
def reload(app: str | None, everything: bool) -> None:
    """Replace the app's processes with its new code, one by one."""
    instance = find(app)
    done = request(instance, "reload", RELOAD_SECONDS, all=everything)
    click.echo(f"reloaded {instance.key}: {done}")


@main.command()
@app_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(app: str | None, as_json: bool) -> None:
    """Show the running app's processes."""
    found = request(find(app), "status")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        tables.status(found)


@main.command()
@app_option
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Of each process.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def connections(app: str | None, limit: int, as_json: bool) -> None:
    """Show the running app's connections."""
    found = request(find(app), "connections", limit=limit)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        tables.connections(found)


# python app.py …


def run_app(target: str, arguments: list[str]) -> None:
    """Carry out a command for one app: what `App.run` calls."""
    if not arguments or arguments[0].startswith("-"):
        commands = "start [-d] [--watch]|stop [-g]|restart|reload|status|connections"
        click.echo(f"usage: {sys.argv[0]} {commands}", err=True)
        sys.exit(2)
    command, *options = arguments
    main([command, target, *options] if command == "start" else [command, "--app", target, *options], prog_name=target)

"""`tidegate demo`: the chat room."""

from __future__ import annotations

from typing import Any

import click

from tidegate.commands.starting import background_options, launch
from tidegate.process.launch import Launch
from tidegate.process.target import Target

__all__ = ["demo"]


@click.command()
@click.option("--page", default="http://127.0.0.1:8000", show_default=True, help="Where its web page is.")
@click.option("--listen", default="websocket://127.0.0.1:7272", show_default=True, help="Where the page connects.")
@click.option("--tcp", default="tcp://127.0.0.1:8282", show_default=True, help="The door for telnet.")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1), help="Of gateways at each door, and workers."
)
@click.option("--register", default="127.0.0.1:1236", show_default=True, help="Where the cluster's Register is.")
@click.option(
    "--start-port",
    default=2900,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Inner port of the first gateway; the others have those behind it.",
)
@background_options
def demo(daemon: bool, log_file: str | None, pid_file: str | None, **arguments: Any) -> None:
    """Show it working: a chat room with its web page, and a door for telnet beside it, cluster and all.

    To let others on your network in, --page http://0.0.0.0:8000 --listen websocket://0.0.0.0:7272.
    """
    host, _, port = arguments["tcp"].removeprefix("tcp://").rpartition(":")
    launch(
        Launch(
            Target(module="tidegate.demo", name="demo", arguments=arguments),
            "demo",
            note=f"Open {arguments['page']} in two windows, or: telnet {host} {port}",
        ),
        daemon=daemon,
        log_file=log_file,
        pid_file=pid_file,
    )

"""`tidegate push-server`: the ready-made one."""

from __future__ import annotations

from typing import Any

import click

from tidegate.commands.starting import background_options, launch
from tidegate.process.launch import Launch
from tidegate.process.target import Target

__all__ = ["push_server"]


@click.command("push-server")
@click.option("--listen", default="websocket://0.0.0.0:1234", show_default=True, help="Where browsers connect.")
@click.option("--inner", default="text://127.0.0.1:5678", show_default=True, help="Where backends connect.")
@click.option(
    "--heartbeat", default=80, show_default=True, help="Seconds of silence before a client is closed; 0: never."
)
@click.option("--token-secret", envvar="TIDEGATE_TOKEN_SECRET", help="Bind only clients with a right checkToken.")
@click.option(
    "--token-algorithm",
    type=click.Choice(["hmac-sha256", "md5"]),
    default="hmac-sha256",
    show_default=True,
    help="How a checkToken is made.",
)
@click.option("--page", help="Serve a page there on which messages are seen to arrive: http://127.0.0.1:8000")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="Processes; several are a cluster.")
@click.option(
    "--register", default="127.0.0.1:5679", show_default=True, help="With --count: where the cluster's Register is."
)
@click.option(
    "--start-port",
    default=5680,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="With --count: port of the first process on 127.0.0.1; the others have those behind it.",
)
@background_options
def push_server(daemon: bool, log_file: str | None, pid_file: str | None, **arguments: Any) -> None:
    """Push lines of JSON from backends to browsers.

    A browser's first message is its uid; a backend sends {"uid": "uid1", …} and a line feed, and reads ok or fail.
    """
    page = arguments["page"]
    launch(
        Launch(
            Target(module="tidegate.push_server", name="push_server", arguments=arguments),
            "push-server",
            note=f"Open {page} in a browser: it shows the line that pushes to it" if page else None,
        ),
        daemon=daemon,
        log_file=log_file,
        pid_file=pid_file,
    )

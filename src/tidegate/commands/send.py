"""`tidegate send`: push from a shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from tidegate.client.blocking import GatewayClient
from tidegate.errors import ConfigurationError, TidegateError

__all__ = ["send"]

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def send() -> None:
    """Push a message to clients, from a shell.

    \b
      tidegate send all 'back in five minutes'
      tidegate send uid 42 '{"type": "mail"}'
      date | tidegate send group room1 -

    A MESSAGE of - is what standard input brings. The command ends with 0 when every gateway has taken the message, and
    with 1 when it could not be sent or nobody is online as the uid or client that it is for.
    """


def push_options(command: F) -> F:
    """What all of them take."""
    for option in (
        click.option("--binary", is_flag=True, help="Send it as a binary frame, and standard input as it is."),
        click.option(
            "--cluster-ssl",
            help="For a cluster with cluster_ssl: certificate, key and authority file, with commas between. "
            "TIDEGATE_CLUSTER_SSL unless given.",
        ),
        click.option(
            "--secret-key",
            help="The cluster's secret; better in TIDEGATE_SECRET_KEY, as others on this machine can see a command.",
        ),
        click.option(
            "--cluster",
            help="Where the cluster is: host:port of a Register, several with commas between, or a nats:// URL. "
            "TIDEGATE_CLUSTER, else 127.0.0.1:1236, unless given.",
        ),
        click.argument("message"),
    ):
        command = option(command)
    return command


@send.command("all")
@push_options
def to_all(message: str, binary: bool, **cluster: Any) -> None:
    """Send MESSAGE to all clients."""
    content = read_message(message, binary)
    with pushing(cluster) as client:
        count = client.get_all_client_count()
        client.send_to_all(content)
    report(count)


@send.command("uid")
@click.argument("uid")
@push_options
def to_uid(uid: str, message: str, binary: bool, **cluster: Any) -> None:
    """Send MESSAGE to the clients of UID."""
    content = read_message(message, binary)
    with pushing(cluster) as client:
        count = len(client.get_client_id_by_uid(uid))
        if not count:
            raise TidegateError(f"nobody is online as uid {uid!r}")
        client.send_to_uid(uid, content)
    report(count)


@send.command("group")
@click.argument("group")
@push_options
def to_group(group: str, message: str, binary: bool, **cluster: Any) -> None:
    """Send MESSAGE to the members of GROUP."""
    content = read_message(message, binary)
    with pushing(cluster) as client:
        count = client.get_client_count_by_group(group)
        client.send_to_group(group, content)
    report(count)


@send.command("client")
@click.argument("client_id")
@push_options
def to_client(client_id: str, message: str, binary: bool, **cluster: Any) -> None:
    """Send MESSAGE to one client."""
    content = read_message(message, binary)
    with pushing(cluster) as client:
        if not client.is_online(client_id):
            raise TidegateError(f"client {client_id} is not online")
        client.send_to_client(client_id, content)
    report(1)


@contextmanager
def pushing(cluster: dict[str, Any]) -> Iterator[GatewayClient]:
    """A client whose commands have been carried out at the end.

    Raises:
        ConfigurationError: for what can't be meant.
    """
    try:
        files = cluster["cluster_ssl"]
        with GatewayClient(
            cluster["cluster"],
            secret_key=cluster["secret_key"],
            cluster_ssl=None if files is None else [path.strip() for path in files.split(",")],
        ) as client:
            yield client
            client.flush()
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def read_message(message: str, binary: bool) -> str | bytes:
    """What is to be sent. Of text from standard input the end of the last line is left out.

    Raises:
        ConfigurationError: text that is none.
    """
    if message != "-":
        return os.fsencode(message) if binary else message
    content = sys.stdin.buffer.read()
    if binary:
        return content
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError("standard input brings no UTF-8 text: send it with --binary") from None


def report(count: int) -> None:
    """Say how many were reached."""
    click.echo(f"sent to {count} {'client' if count == 1 else 'clients'}")

"""Lends a test the members of a program, with other settings, and gives them back as they were."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from tidegate.business.worker import BusinessWorker
from tidegate.errors import AddressError
from tidegate.gateway.gateway import Gateway
from tidegate.net.address import Address
from tidegate.net.sockets import bind
from tidegate.process import context
from tidegate.worker import Worker

__all__ = ["HOST", "borrow", "elsewhere", "listen_inside"]

HOST = "127.0.0.1"
ATTEMPTS = 50
KEPT = ("_given", "_has_register", "address")
"""Attributes that are as they were afterwards; a listening member has changed its address by itself."""


@contextlib.contextmanager
def borrow(member: Gateway | BusinessWorker | Worker, folder: str, settings: dict[str, Any]) -> Iterator[None]:
    """Have a member run in a test.

    Args:
        folder: for the sockets of ``unix://`` addresses.
        settings: in place of its own, those of them that it has.
    """
    kept = {name: vars(member)[name] for name in KEPT if name in vars(member)}
    member._given = {**member._given, **{name: value for name, value in settings.items() if name in member._given}}
    if isinstance(member, Gateway):
        member._has_register = True  # and that goes with it, so that it need not wait for those who might ask there
    if not isinstance(member, BusinessWorker) and member.address is not None:
        member.address = _own(member.address, folder)
    try:
        yield
    finally:
        vars(member).update(kept)


class Elsewhere(context.Standalone):
    """A process whose members listen on other ports than they say, also those that handlers open."""

    def __init__(self, before: context.Context) -> None:
        self.config = before.config
        self.running = before.running
        self.is_first_start = before.is_first_start

    async def listen(self, address: Address, reuse_port: bool) -> list[socket.socket]:
        if address.scheme == "unix":
            return await super().listen(address, reuse_port)
        return bind(Address(address.scheme, HOST, 0))


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Have what listens in this process do so on loopback, on ports that are free."""
    before = context.current()
    context.enter(Elsewhere(before))
    try:
        yield
    finally:
        context.enter(before)


def _own(address: Address, folder: str) -> Address:
    """One that nobody else has."""
    if address.scheme == "unix":
        return Address("unix", path=f"{folder}/{address.path.replace('/', '_')[-40:]}")
    return Address(address.scheme, HOST, 0)


async def listen_inside(gateway: Gateway) -> None:
    """Have a gateway begin, on an inner port that is free.

    The system names one, and somebody may take it before the gateway does: then another is tried.

    Raises:
        AddressError: there is none.
    """
    for attempt in range(ATTEMPTS):
        gateway._given["start_port"] = _free_port()
        try:
            await gateway.listen()
        except AddressError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])

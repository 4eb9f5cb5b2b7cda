from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.client.support import Client, Driven, ScriptedGateway, ScriptedRegister
from tidegate.client.blocking import GatewayClient
from tidegate.net.loops import new_event_loop

KINDS: dict[str, Callable[..., Any]] = {
    "blocking": GatewayClient,
    "asyncio": functools.partial(Driven, asyncio.SelectorEventLoop),
    "uvloop": functools.partial(Driven, new_event_loop),
}


@pytest.fixture(autouse=True)
def default_register(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedRegister]:
    """Names all gateways of the test to the clients that are told of no other Register."""
    ScriptedGateway.made.clear()
    with ScriptedRegister() as register:
        register.gateways = ScriptedGateway.made
        monkeypatch.setenv("TIDEGATE_CLUSTER", register.address)
        monkeypatch.delenv("TIDEGATE_SECRET_KEY", raising=False)
        yield register


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Makes clients of one kind, which are closed in the end."""
    with ExitStack() as stack:

        def make(*args: Any, **options: Any) -> Client:
            return stack.enter_context(KINDS[request.param](*args, **options))

        yield make

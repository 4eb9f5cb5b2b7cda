"""A Register of either kind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.php.register import PhpRegister
from tests.ports import free_port
from tidegate.register.register import Register


@contextlib.asynccontextmanager
async def a_register(kind: str, secret: str) -> AsyncIterator[tuple[int, Callable[[], Any]]]:
    """Either kind; gives its port, and what restarts it."""
    port = free_port()

    def make() -> Any:
        if kind == "php":
            return PhpRegister(port, secret)
        return Register(f"127.0.0.1:{port}", secret_key=secret, settle_seconds=0)

    running = make()
    await (running.start() if kind == "php" else running.listen())

    async def restart() -> None:
        nonlocal running
        await running.stop()
        running = make()
        await (running.start() if kind == "php" else running.listen())

    try:
        yield port, restart
    finally:
        await running.stop()

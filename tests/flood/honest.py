"""Honest users of the app under attack, and how long they wait."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from tests.clients import Browser, end
from tests.flood.attacks import Ports
from tidegate import AsyncGatewayClient
from tidegate.errors import TidegateError

__all__ = ["Honest"]

EVERY = {"echo": 0.01, "come": 0.1, "push": 0.1, "ask over HTTP": 0.2}
"""Seconds between the ends and beginnings of what they do."""
LAST = "Connection: close\r\n\r\n"
PATIENCE = 20


class Honest:
    """Some users: one that is there, one that comes and goes, a program that pushes, and one that asks over HTTP.

    Attributes:
        waits: seconds that each thing took.
        problems: what went wrong for them.
        told: numbers of what everybody was told, as the one that is there has heard them.
    """

    def __init__(self, ports: Ports) -> None:
        self.waits: defaultdict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []
        self.told: list[int] = []
        self._ports = ports
        self._browser: Browser | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._echoed = 0
        self._is_over = False

    async def __aenter__(self) -> Honest:
        self._browser = await Browser.connect(self._ports.doors["websocket"])
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "echo": self._echo,
            "come": self._come,
            "push": self._push,
            "ask over HTTP": self._ask,
        }
        self._tasks = [asyncio.create_task(self._repeat(name, work)) for name, work in works.items()]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True  # and what is begun is ended
        await asyncio.gather(*self._tasks)
        assert self._browser is not None
        await self._browser.close()

    async def _repeat(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while not self._is_over:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    await work()
            except (AssertionError, OSError, TidegateError) as error:
                self.problems.append(f"{name}: {error!r} after {time.monotonic() - begun:.1f} s")
                return
            self.waits[name].append(time.monotonic() - begun)
            await asyncio.sleep(EVERY[name])

    async def _echo(self) -> None:
        assert self._browser is not None
        self._echoed += 1
        self._browser.send(f"echo {self._echoed}")
        while True:
            text = await self._browser.receive()
            assert text is not None, f"an honest client was closed with {self._browser.close_code}"
            what, number = text.split()
            if what == "echo":
                assert int(number) == self._echoed
                return
            self.told.append(int(number))

    async def _come(self) -> None:
        browser = await self._let_in()
        try:
            browser.send("here")
            while (text := await browser.receive()) != "here":
                assert text is not None, f"one that came was closed with {browser.close_code}"
        finally:
            await browser.close()

    async def _let_in(self) -> Browser:
        """Connect, again where that was the oldest of more handshakes than may be under way."""
        while True:
            try:
                return await Browser.connect(self._ports.doors["websocket"])
            except (ConnectionResetError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)

    async def _push(self) -> None:
        async with AsyncGatewayClient(f"127.0.0.1:{self._ports.register}") as push:
            assert await push.get_all_client_count() > 0
            await push.flush()

    async def _ask(self) -> None:
        host = f"127.0.0.1:{self._ports.http}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._ports.http)
        try:
            writer.write(f"GET /?method=getAllClientCount HTTP/1.1\r\nHost: {host}\r\n{LAST}".encode())
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        finally:
            await end(writer)

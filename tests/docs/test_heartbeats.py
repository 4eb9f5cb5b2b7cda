"""docs/heartbeats.md: a device that answers, one that does not, and the times that the page says."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tidegate.gateway.heartbeat import Heartbeat
from tidegate.testing import cluster

PAGE = DOCS / "heartbeats.md"
QUICK = {"ping_interval=30": "ping_interval=0.2", "settimeout(90)": "settimeout(0.5)", "sleep(5)": "sleep(0.01)"}


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Any]:
    with importable(PAGE, tmp_path, QUICK) as module:
        yield module


class StopError(Exception):
    """Ends a device."""


class Device:
    """The page's, in a thread, until it is told to stop."""

    def __init__(self, module: Any, host: str, port: int) -> None:
        self.heard: list[str] = []
        self._listen = module("device").listen
        self.thread = threading.Thread(target=self._run, args=(host, port))
        self.thread.start()

    def _run(self, host: str, port: int) -> None:
        with contextlib.suppress(StopError):
            self._listen(host, port, self._handle)

    def _handle(self, line: str) -> None:
        self.heard.append(line)
        if line == "stop":
            raise StopError


def test_a_device_that_answers_stays_and_one_that_does_not_is_closed(module: Any) -> None:
    async def test() -> None:
        app = module("app")
        async with cluster(app.app) as c:
            address = app.devices.address
            device = Device(module, address.host, address.port)
            (device_id,) = await until_listed(c, 1)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"hello\n")
            assert await reader.readline() == b"you said hello\n"
            assert await reader.read() == b"ping\nping\n"
            writer.close()
            await writer.wait_closed()
            assert app.devices.snapshot()["extra"]["silent_clients"] == 1
            await c.push.send_to_client(device_id, "on")
            await c.push.send_to_client(device_id, "stop")
            await asyncio.to_thread(device.thread.join, 5)
            assert device.heard == ["on", "stop"]

    run(test)


async def until_listed(c: Any, count: int) -> list[str]:
    while len(ids := await c.push.get_all_client_id_list()) < count:
        await asyncio.sleep(0.01)
    return list(ids)


def test_a_device_leaves_a_server_that_has_vanished(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        device = Device(module, *server.getsockname())
        silent, _ = server.accept()
        again, _ = server.accept()
        with silent, again:
            again.sendall(b"ping\n")
            assert again.recv(100) == b"pong\n"
            again.sendall(b"stop\n")
            device.thread.join(5)
    assert device.heard == ["stop"]
    assert capsys.readouterr().out == "no connection: timed out\n"


class Client:
    """One that is silent since a moment."""

    def __init__(self, last_read: float) -> None:
        self.last_read = last_read
        self.is_open, self.is_paused = True, False
        self.asked: list[int] = []
        self.closed: int | None = None
        self.sweep = 0

    def ping(self) -> None:
        self.asked.append(self.sweep)

    def close(self, *, code: int, reason: str) -> None:
        assert (code, reason) == (1008, "no sign of life")
        self.closed, self.is_open = self.sweep, False


async def sweeps_of(interval: float, limit: int) -> tuple[str, str]:
    """When a client is asked first and when it is closed, as the page says it."""
    client = Client(0)
    beat = Heartbeat(lambda: [client], interval, limit, None)  # type: ignore[list-item]
    client.last_read = beat._reactor.now  # right after a look; right before one, it would be one later for each
    begun = beat._reactor.now
    beat._reactor.advance = lambda: begun + client.sweep * beat._pause  # type: ignore[method-assign]
    for client.sweep in range(1, 9):
        beat._timer.cancel()
        beat._sweep()
    beat._timer.cancel()
    beat.stop()
    pause = beat._pause

    def span(sweep: int | None) -> str:
        return "never" if sweep is None else f"{(sweep - 1) * pause:g} to {sweep * pause:g} seconds"

    return span(client.asked[0]), span(client.closed)


def test_silent_clients_are_asked_and_closed_when_the_page_says() -> None:
    async def test() -> None:
        rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", PAGE.read_text(), re.M)
        checked = 0
        for settings, *said in rows:
            given = dict(re.findall(r"(ping_interval|ping_not_response_limit)=(\d+)", settings))
            interval = float(given.get("ping_interval", 25))
            if not interval or not (given or "nothing set" in settings):
                continue
            assert list(await sweeps_of(interval, int(given.get("ping_not_response_limit", 2)))) == said, settings
            checked += 1
        assert checked == 4
        assert await sweeps_of(60, 1) == ("60 to 90 seconds", "90 to 120 seconds")

    run(test)

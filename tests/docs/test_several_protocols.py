"""docs/several-protocols.md: a page, a line and a lamp in one cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.support import DOCS, importable, run
from tidegate import App, BusinessWorker, Gateway
from tidegate.errors import ConfigurationError
from tidegate.testing import cluster

PAGE = DOCS / "several-protocols.md"
SECONDS = 5


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Any]:
    with importable(PAGE, tmp_path) as module:
        yield module


class Peer:
    """A client with nothing but a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, gateway: Gateway) -> Peer:
        assert gateway.address is not None
        return cls(*await asyncio.open_connection(gateway.address.host, gateway.address.port))

    async def receives(self, data: bytes) -> None:
        async with asyncio.timeout(SECONDS):
            assert await self.reader.readexactly(len(data)) == data

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def until_in(c: Any, group: str, count: int) -> None:
    async with asyncio.timeout(SECONDS):
        while await c.push.get_client_count_by_group(group) < count:
            await asyncio.sleep(0.001)


def test_a_line_switches_a_lamp_that_says_so_to_pages_and_terminals(module: Any) -> None:
    async def test() -> None:
        app = module("app")
        async with cluster(app.app) as c:
            page = await c.connect()
            line, lamp = await Peer.connect(app.lines), await Peer.connect(app.devices)
            await until_in(c, "people", 2)
            await until_in(c, "devices", 1)
            lamp.writer.write(b"\x00\x00\x00\x06\x07\x00")
            assert await page.receive_json() == {"lamp": 7, "on": False}
            await line.receives(b'{"lamp": 7, "on": false}\n')
            line.writer.write(b'{"lamp": 7, "on": true}\n')
            await lamp.receives(b"\x00\x00\x00\x06\x07\x01")
            await page.send_json({"lamp": 7, "on": False})
            await lamp.receives(b"\x00\x00\x00\x06\x07\x00")
            await c.push.send_to_uid("lamp-7", "text")
            await lamp.receives(b"\x00\x00\x00\x08text")
            for peer in (line, lamp):
                await peer.close()

    run(test)


def test_nonsense_is_logged_and_what_breaks_the_protocol_ends_the_connection(module: Any) -> None:
    async def test() -> None:
        app = module("app")
        async with cluster(app.app, raise_errors=False) as c:
            line, lamp = await Peer.connect(app.lines), await Peer.connect(app.devices)
            line.writer.write(b"nonsense\n")
            await until_in(c, "people", 1)
            lamp.writer.write(b"\x00\x00\x00\x03")
            async with asyncio.timeout(SECONDS):
                assert await lamp.reader.read() == b""
                while not c.errors:
                    await asyncio.sleep(0.001)
            assert isinstance(c.errors[0], ValueError)
            assert app.devices.snapshot()["protocol_errors"] == 1
            await c.push.send_to_group("people", "still here")
            await line.receives(b"still here\n")
            for peer in (line, lamp):
                await peer.close()

    run(test)


def test_messages_are_what_the_table_says() -> None:
    (table,) = re.findall(r"^\| \| comes as .*\n\|.*\n((?:\|.*\n)+)", PAGE.read_text(), re.M)
    rows = {cells[0]: cells[1:] for cells in (re.findall(r"(?<=\| )[^|]+(?= \|)", row) for row in table.splitlines())}
    received: dict[str, type] = {}

    async def test() -> None:
        business = BusinessWorker()
        gateways: dict[str, Any] = {
            f"`{scheme}://`": Gateway(f"{scheme}://127.0.0.1:0") for scheme in ("text", "frame", "tcp")
        }
        sent = {"`text://`": b"hi\n", "`frame://`": b"\x00\x00\x00\x06hi", "`tcp://`": b"hi"}

        @business.on_message
        def receive(client: Any, message: str | bytes) -> None:
            (scheme,) = [name for name, each in gateways.items() if each.address.port == client.gateway_port]
            received[scheme] = type(message)
            client.send("hi")
            client.send(b"hi")

        async with cluster(*gateways.values(), business):
            for scheme, gateway in gateways.items():
                peer = await Peer.connect(gateway)
                peer.writer.write(sent[scheme])
                await peer.receives(sent[scheme] * 2)
                await peer.close()
        for scheme, kind in received.items():
            assert rows[scheme][0].startswith(f"`{kind.__name__}`")

    run(test)
    assert received.keys() == rows.keys() - {"`websocket://`"}


def test_gateways_that_share_inner_ports_do_not_start() -> None:
    pages, lines = Gateway("websocket://0.0.0.0:7272", count=2), Gateway("text://0.0.0.0:7273", start_port=2901)
    with pytest.raises(ConfigurationError, match=f"'{pages.name}' and '{lines.name}' both need the inner port 2901"):
        App(pages, lines).describe({})

"""The app served on a port, something that notes the calls which arrive, and requests that are nothing but bytes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.net.support import Client, serving
from tidegate import Worker
from tidegate.http import PushApp

TOKEN = "s3same-open"
CLIENT = "7f0000010b5400000001"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


class Recorder:
    """Stands in for whatever carries calls out.

    Attributes:
        calls: names and arguments.
        results: by name.
        error: raised by all.
        addresses: of the gateways.
    """

    def __init__(self, **results: Any) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.results = results
        self.error: Exception | None = None
        self.addresses: Collection[str] | None = None

    async def gateways(self, wanted: Collection[str]) -> Collection[str]:
        return wanted if self.addresses is None else self.addresses

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error
        return self.results.get(name)

    async def close(self) -> None:
        pass

    @property
    def last(self) -> Any:
        """The arguments of the last call."""
        return self.calls[-1][1]


@contextlib.asynccontextmanager
async def door(recorder: Recorder, token: str | None = None) -> AsyncIterator[int]:
    """The app on a port of its own."""
    app = PushApp(recorder, token)
    async with serving(Worker("http://127.0.0.1:0", app=app)) as port:
        yield port


async def exchange(port: int, request: bytes, host: str = "127.0.0.1") -> Answer:
    """Send bytes and read the answer to the end."""
    with await Client.connect(port, host) as client:
        await client.send(request)
        head, _, body = (await client.read_to_end()).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


async def ask(
    port: int, target: str, verb: str = "GET", body: bytes = b"", headers: Mapping[str, str | None] | None = None
) -> Answer:
    """Make a request as a program on this machine does; a header of None is left out."""
    lines: dict[str, str | None] = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
    if body:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= headers or {}
    head = [f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items() if value is not None)]
    return await exchange(port, "\r\n".join([*head, "", ""]).encode() + body)


async def post(port: int, method: str, headers: Mapping[str, str | None] | None = None, **arguments: Any) -> Answer:
    """Call a method as JSON has it."""
    return await ask(port, f"/api/{method}", "POST", json.dumps(arguments).encode(), headers)


def query(method: str, *pairs: tuple[str, str]) -> str:
    """A target as the original's manual writes it."""
    return "/?" + "&".join([f"method={method}", *(f"{quote(key)}={quote(value)}" for key, value in pairs)])

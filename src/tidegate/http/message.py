"""HTTP as ASGI has it: what an app has to know of a request, and what it answers.

Of the body no more than a limit is read, and for no longer than a limit.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["MAX_BODY", "Receive", "Refusal", "Request", "Response", "Scope", "Send", "json_response"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 2 * 1024 * 1024
"""Bytes: the largest message that gateways take of clients unless told otherwise, in base64 and with room to spare."""
JSON_TYPE = re.compile(r"application/json\s*(;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", re.IGNORECASE)
BODY_SECONDS = 10.0
"""That a body may take to arrive."""


class Refusal(Exception):  # noqa: N818 - an answer, as far as whoever asked is concerned
    """A request that is not carried out.

    Args:
        status: of the answer.
        reason: for people.
        headers: of the answer.
        argument: that is wrong.
    """

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None, argument: str | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.argument = argument

    def response(self) -> Response:
        """As it is told."""
        told = {"error": self.reason} | ({"argument": self.argument} if self.argument is not None else {})
        return json_response(told, self.status, self.headers)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered, whole."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, send: Send) -> None:
        """Give it to the server."""
        headers = {
            "content-type": self.content_type,
            "content-length": str(len(self.body)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **self.headers,
        }
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": lines})
        await send({"type": "http.response.body", "body": self.body})


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(value, allow_nan=False).encode(), "application/json", headers or {})


class Request:
    """One that came.

    Attributes:
        method: such as ``GET``.
        path: below where the app is mounted.
        query: as it was sent.
    """

    __slots__ = ("_receive", "method", "path", "query", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        # Servers and frameworks give the whole path, or the rest behind where the app is mounted.
        root: str = scope.get("root_path", "").rstrip("/")
        path: str = scope["path"]
        self.path = (path[len(root) :] if root and (path + "/").startswith(root + "/") else path) or "/"
        self.query: bytes = scope.get("query_string", b"")
        self._receive = receive

    def headers(self, name: bytes) -> list[str]:
        """The values of a header, of each time that it was sent."""
        return [value.decode("latin-1") for key, value in self.scope["headers"] if key.lower() == name]

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            Refusal: it is too long, or does not come.
        """
        too_long = Refusal(413, f"the body has more than {MAX_BODY} bytes", self._ends)
        if any(length.isdecimal() and int(length[:20]) > MAX_BODY for length in self.headers(b"content-length")):
            raise too_long
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    event = await self._receive()
                    if event["type"] != "http.request":
                        raise Refusal(400, "the connection ended before the body did")
                    chunks.append(event.get("body", b""))
                    size += len(chunks[-1])
                    if size > MAX_BODY:
                        raise too_long
                    if not event.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise Refusal(408, f"the body did not come within {BODY_SECONDS:g} s", self._ends) from None

    async def json_object(self) -> dict[str, Any]:
        """Read a body that is a JSON object; one without anything is an empty object.

        Raises:
            Refusal: it is none, or is not said to be JSON.
        """
        body = await self.body()
        if not body:
            return {}
        kinds = self.headers(b"content-type")
        if len(kinds) != 1 or JSON_TYPE.fullmatch(kinds[0]) is None:
            raise Refusal(415, "the body has to be JSON in UTF-8: Content-Type: application/json")
        try:
            value = json.loads(body.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"the body is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise Refusal(422, "the body has to be an object of named arguments")
        return value

    @property
    def _ends(self) -> dict[str, str]:
        """What is left of the body is not read: the connection is of no use any more."""
        return {"connection": "close"} if self.scope.get("http_version", "1.1").startswith("1") else {}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")

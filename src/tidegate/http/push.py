"""The push API as an ASGI app: a GET as GatewayWorker's users know it, and a POST for each method.

Each request is a call of the API and no more; nothing is kept between two of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidegate.client.api import AsyncPushAPI
from tidegate.client.asynchronous import AsyncGatewayClient
from tidegate.errors import ClusterError
from tidegate.http.admission import Admission
from tidegate.http.kinds import to_json
from tidegate.http.message import Receive, Refusal, Request, Response, Scope, Send, json_response
from tidegate.http.methods import Method, find_method
from tidegate.http.openapi import describe
from tidegate.http.query import read_call
from tidegate.net.throttle import Throttle

__all__ = ["PushApp", "push_api"]

logger = logging.getLogger("tidegate")

API = "/api/"
CALL_SECONDS = 30.0
"""That a call may take; clients of the cluster give up sooner, a worker waits for room as long as it takes."""


class PushApp:
    """The app; `push_api` makes one for a site.

    Args:
        push: gives what carries calls out, in the running loop.
        token: that requests have to show; None for programs of this machine only.
        failed: counts commands that could not be sent, where `push` does not raise for them.
        close: lets go of what `push` has made in the running loop.

    Raises:
        ConfigurationError: the token can't be sent in a header.
    """

    def __init__(
        self,
        push: Callable[[], AsyncPushAPI],
        token: str | None,
        *,
        failed: Callable[[], int] = int,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._push = push
        self._failed = failed
        self._close = close
        self._admission = Admission(token)
        self._has_token = token is not None
        self._throttle = Throttle(logger)

    async def aclose(self) -> None:
        """Close the connections to the cluster, when what was sent has left; for a site's lifespan."""
        if self._close is not None:
            await self._close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await (await self._answer(Request(scope, receive))).send(send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            if event == "lifespan.shutdown":
                await self.aclose()
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return

    async def _answer(self, request: Request) -> Response:
        try:
            self._admission.check(request)
            if request.path == "/":
                _check_verb(request, "GET")
                return await self._answer_query(request)
            if request.path == "/openapi.json":
                _check_verb(request, "GET")
                return json_response(describe(request.scope.get("root_path", ""), self._has_token))
            if not request.path.startswith(API):
                raise Refusal(404, "there is nothing here: POST /api/METHOD, GET /?method=METHOD, GET /openapi.json")
            return await self._answer_post(request, request.path[len(API) :])
        except Refusal as refusal:
            return refusal.response()

    async def _answer_query(self, request: Request) -> Response:
        try:
            method, arguments = read_call(request.query)
            result = await self._carry_out(method, arguments)
        except Refusal as refusal:
            self._throttle.log(logging.WARNING, "HTTP door: answered fail: %s", refusal.reason)
            return _text("fail")
        return json_response(to_json(result)) if method.is_query else _text("ok")

    async def _answer_post(self, request: Request, name: str) -> Response:
        method = find_method(name)
        if method is None:
            raise Refusal(404, f"the push API has no method {name!r}"[:100])
        _check_verb(request, "POST")
        arguments = method.read(await request.json_object())
        return json_response({"result": to_json(await self._carry_out(method, arguments))})

    async def _carry_out(self, method: Method, arguments: dict[str, Any]) -> Any:
        before = self._failed()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                waits = getattr(self._push(), method.name)(**arguments)
                if self._failed() > before:
                    raise Refusal(503, "a gateway is not linked, or takes no more: not everybody it is for gets it")
                return await waits
        except ClusterError as error:
            raise Refusal(503, str(error)) from error
        except TimeoutError:
            raise Refusal(503, f"it was not done within {CALL_SECONDS:g} s") from None
        except ValueError as error:  # what no argument by itself is to blame for: all of it is too long
            raise Refusal(422, str(error)) from error


def push_api(
    cluster: str | Sequence[str] | None = None, *, token: str | None = None, secret_key: str | None = None
) -> PushApp:
    """Make an ASGI app of the push API, to be served by itself or mounted in a site.

    It connects when it is first asked for something, in each event loop for itself. Without a token it answers programs
    on this machine only, and no web page; behind a proxy it needs one.

    Args:
        cluster: ``host:port`` of a Register, or a list of them; else TIDEGATE_CLUSTER, else 127.0.0.1:1236.
        token: that requests have to show, as ``Authorization: Bearer …``.
        secret_key: of the cluster; else TIDEGATE_SECRET_KEY.

    Raises:
        ConfigurationError: one of these can't be used.
    """

    def make() -> AsyncGatewayClient:
        return AsyncGatewayClient(cluster, secret_key=secret_key)

    make()  # what can't be used is told here and now
    clients: dict[asyncio.AbstractEventLoop, AsyncGatewayClient] = {}

    def client() -> AsyncGatewayClient:
        loop = asyncio.get_running_loop()
        if loop not in clients:
            for other in [other for other in clients if other.is_closed()]:
                del clients[other]
            clients[loop] = make()
        return clients[loop]

    async def close() -> None:
        mine = clients.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine.aclose()

    return PushApp(client, token, close=close)


def _check_verb(request: Request, allowed: str) -> None:
    if request.method != allowed:
        raise Refusal(405, f"this takes {allowed}, not {request.method[:20]}", {"allow": allowed})


def _text(text: str) -> Response:
    return Response(200, text.encode(), "text/plain; charset=utf-8")

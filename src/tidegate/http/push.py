"""The push API as an ASGI app: a GET as GatewayWorker's users know it, and a POST for each method.

Each request is a call of the API and no more; nothing is kept between two of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from tidegate.errors import ClusterError, ConfigurationError
from tidegate.http.admission import Admission
from tidegate.http.carrier import Carrier, ClientCarrier
from tidegate.http.kinds import to_json
from tidegate.http.message import Receive, Refusal, Request, Response, Scope, Send, json_response
from tidegate.http.methods import Method, find_method
from tidegate.http.openapi import describe
from tidegate.http.query import read_call
from tidegate.net.throttle import Throttle
from tidegate.wire.client_id import parse_client_id

__all__ = ["PushApp", "push_api"]

logger = logging.getLogger("tidegate")

API = "/api/"
ADDRESSED = ("client_id", "client_ids")
"""Arguments that say which clients a call is for."""
CALL_SECONDS = 30.0
"""That a call may take; clients of the cluster give up sooner, a worker waits for room as long as it takes."""


class PushApp:
    """The app; `push_api` makes one for a site.

    Args:
        carrier: carries calls out.
        token: that requests have to show; None for programs of this machine only.

    Raises:
        ConfigurationError: the token can't be sent in a header.
    """

    def __init__(self, carrier: Carrier, token: str | None) -> None:
        self._carrier = carrier
        self._admission = Admission(token)
        self._has_token = token is not None
        self._throttle = Throttle(logger)

    async def aclose(self) -> None:
        """Close the connections to the cluster, when what was sent has left; for a site's lifespan."""
        await self._carrier.close()

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
        try:
            async with asyncio.timeout(CALL_SECONDS):
                arguments, gone = await self._part(arguments)
                result = await self._carrier.call(method.name, arguments)
        except (ClusterError, ConfigurationError) as error:  # it is not there, or can't do that
            raise Refusal(503, str(error)) from error
        except TimeoutError:
            raise Refusal(503, f"it was not done within {CALL_SECONDS:g} s") from None
        except ValueError as error:  # what no argument by itself is to blame for: all of it is too long
            raise Refusal(422, str(error)) from error
        if gone is not None:
            raise gone
        return result

    async def _part(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], Refusal | None]:
        """Leave out the clients of gateways that there are not, and say which.

        Raises:
            Refusal: it is about such a client only; 404.
        """
        name = next((name for name in ADDRESSED if arguments.get(name)), None)
        if name is None:
            return arguments, None
        client_ids = arguments[name] if isinstance(arguments[name], list) else [arguments[name]]
        gateways = {client_id: parse_client_id(client_id).address for client_id in client_ids}
        known = await self._carrier.gateways(gateways.values())
        gone = [client_id for client_id, gateway in gateways.items() if gateway not in known]
        if not gone:
            return arguments, None
        more = f" and {len(gone) - 1} more are not there" if len(gone) > 1 else " is not there"
        refusal = Refusal(404, f"{gone[0]}{more}: the cluster has no gateway {gateways[gone[0]]}", argument=name)
        if len(gone) == len(gateways):
            raise refusal
        return {**arguments, name: [client_id for client_id in gateways if client_id not in set(gone)]}, refusal


def push_api(
    cluster: str | Sequence[str] | None = None,
    *,
    token: str | None = None,
    secret_key: str | None = None,
    cluster_ssl: Sequence[str] | None = None,
) -> PushApp:
    """Make an ASGI app of the push API, to be served by itself or mounted in a site.

    It connects when it is first asked for something, in each event loop for itself. Without a token it answers programs
    on this machine only, and no web page; behind a proxy it needs one.

    Args:
        cluster: ``host:port`` of a Register, or a list of them; else TIDEGATE_CLUSTER, else 127.0.0.1:1236.
        token: that requests have to show, as ``Authorization: Bearer …``.
        secret_key: of the cluster; else TIDEGATE_SECRET_KEY.
        cluster_ssl: of the cluster, as with `GatewayClient`; else TIDEGATE_CLUSTER_SSL.

    Raises:
        ConfigurationError: one of these can't be used.
    """

    return PushApp(ClientCarrier(cluster, secret_key, cluster_ssl), token)


def _check_verb(request: Request, allowed: str) -> None:
    if request.method != allowed:
        raise Refusal(405, f"this takes {allowed}, not {request.method[:20]}", {"allow": allowed})


def _text(text: str) -> Response:
    return Response(200, text.encode(), "text/plain; charset=utf-8")

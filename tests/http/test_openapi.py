"""The OpenAPI document, and requests made from it."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.http.support import CLIENT, TOKEN, Recorder, ask, door
from tests.net.support import Runner
from tidegate.client.api import AsyncPushAPI
from tidegate.http import PushApp
from tidegate.http.methods import METHODS
from tidegate.http.openapi import describe
from tidegate.net.asgi import ASGIServer
from tidegate.net.codecs import codec_maker
from tidegate.net.endpoint import Callbacks, Endpoint, Limits
from tidegate.net.listener import Listener

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.unsupported_method,
    checks.ignored_auth,
]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
FOUND: list[Any] = list(schemathesis.openapi.from_dict(describe("", True)).get_all_operations())
OPERATIONS: dict[str, Any] = {found.ok().label: found.ok() for found in FOUND}
RESULTS: dict[str, Any] = {
    "bool": True,
    "int": 3,
    "str | None": None,
    "list[str]": [CLIENT],
    "dict[Any, Any] | None": {"a": 1},
    "dict[str, bool]": {"a": True},
    "dict[str, int]": {"a": 1},
    "dict[str, list[str]]": {"a": [CLIENT]},
    "dict[str, dict[Any, Any]]": {CLIENT: {}},
    "None": None,
}


def result_of(name: str) -> Any:
    """Something of the type that the signature names."""
    annotation = inspect.signature(getattr(AsyncPushAPI, name)).return_annotation
    return RESULTS[annotation.removeprefix("Awaitable[")[:-1]]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a door that needs the token, in a thread of its own."""
    recorder = Recorder(**{name: result_of(name) for name in METHODS})
    ports: list[int] = []
    ready, over = threading.Event(), threading.Event()

    async def main() -> None:
        endpoint = Endpoint("http", codec_maker("http"), Callbacks(), Limits())
        server = ASGIServer(PushApp(recorder, TOKEN), endpoint)
        await server.start()
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        ports.append(sock.getsockname()[1])
        listener = Listener(server, [sock], None)
        ready.set()
        await asyncio.to_thread(over.wait)
        listener.close()
        await server.stop(1)
        endpoint.release()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)
    yield ports[0]
    over.set()
    thread.join(20)


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One that keeps connections for the next request."""
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_requests_made_from_the_document_are_answered_as_it_says(
    label: str, mode: GenerationMode, port: int, session: requests.Session
) -> None:
    operation = OPERATIONS[label]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=2, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        url = f"http://127.0.0.1:{port}"
        case.call_and_validate(base_url=url, session=session, checks=CHECKS, headers=HEADERS)

    check()


def test_it_describes_every_method_by_its_signature() -> None:
    paths = describe("", False)["paths"]
    assert paths.keys() == {f"/api/{name}" for name in METHODS}
    for name in METHODS:
        operation = paths[f"/api/{name}"]["post"]
        assert operation["summary"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        parameters = list(inspect.signature(getattr(AsyncPushAPI, name)).parameters.values())[1:]
        assert list(body["properties"]) == [parameter.name for parameter in parameters]
        required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
        assert body.get("required", []) == required
    sends = paths["/api/send_to_uid"]["post"]
    assert sends["summary"] == "Send to every client of a uid, or of several."
    counts = paths["/api/get_client_count_by_group"]["post"]["responses"]["200"]
    assert counts["content"]["application/json"]["schema"]["properties"]["result"] == {"type": "integer"}


def test_it_says_whether_a_token_is_needed(run: Runner) -> None:
    async def main() -> None:
        for token in (None, TOKEN):
            async with door(Recorder(), token) as port:
                headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
                document = (await ask(port, "/openapi.json", headers=headers)).json
                assert ("security" in document) is (token is not None)
                statuses = document["paths"]["/api/flush"]["post"]["responses"].keys()
                assert ("401" in statuses) is (token is not None)
                assert ("403" in statuses) is (token is None)

    run(main())

"""What a worker is told of a WebSocket handshake, as PHP's own functions have it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.support import Peer, gateway
from tests.net.support import Runner, WebSocketClient
from tests.protocols.support import request
from tidegate.business.handshake import read_handshake
from tidegate.gateway.request import request_body
from tidegate.protocols.handshake import parse_request
from tidegate.wire import php
from tidegate.wire.commands import ON_CLOSE, ON_CONNECT, ON_WEBSOCKET_CONNECT


def body_of(*lines: str, target: str = "/") -> dict[str, Any]:
    head = (
        f"GET {target} HTTP/1.1",
        "Host: chat.example:8080",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: FjtMU9mjZBluW5bB4cwWFQ==",
        "Sec-WebSocket-Version: 13",
        *lines,
    )
    handshake = parse_request(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
    handshake.remote_ip = "10.0.0.9"
    return php.loads_array(request_body(handshake, 1234, 7272))


def test_repeated_headers_are_joined_and_absent_ones_null() -> None:
    server = body_of("X-Some-Thing: a", "X-Some-Thing: b")["server"]
    assert server["HTTP_X_SOME_THING"] == "a,b"
    assert server["CONTENT_TYPE"] is None
    assert (server["SERVER_NAME"], server["HTTP_HOST"]) == ("chat.example:8080", "chat.example:8080")
    assert (server["REMOTE_ADDR"], server["REMOTE_PORT"], server["SERVER_PORT"]) == ("10.0.0.9", 1234, 7272)


def test_header_values_are_bytes_as_they_came() -> None:
    assert body_of("X-Name: caf\xe9")["server"]["HTTP_X_NAME"] == b"caf\xe9"


def test_cookies_are_not_decoded() -> None:
    body = body_of("Cookie: a=%20x; b=1=2", "Cookie: c=3", target="/p?q=1")
    assert body["cookie"] == {"a": "%20x", "b": "1=2", "c": "3"}
    assert (body["get"], body["server"]["QUERY_STRING"]) == ({"q": "1"}, "q=1")


def test_of_headers_that_php_calls_the_same_the_last_counts() -> None:
    body = body_of("X-A-B: 1", "X_A_B: 2", "Cookie: 7=a; 07=b; =c; 7=d")
    assert body["server"]["HTTP_X_A_B"] == "2"
    assert body["cookie"] == {7: "d", "07": "b", "": "c"}


@pytest.mark.parametrize("target", ["/a%20b?c=d", "http://chat.example/a%20b?c=d", "/a%20b?c=d#e"])
def test_a_whole_url_is_a_request_for_its_path_to_a_gateway_and_a_worker(target: str) -> None:
    handshake = parse_request(request(line=f"GET {target} HTTP/1.1"))
    read = read_handshake(request_body(handshake, 1, 2), "10.0.0.9")
    for each in (handshake, read):
        assert (each.path, each.query, each.target) == ("/a b", {"c": "d"}, target)


def test_the_request_is_not_serialized_for_a_worker_without_a_handler_for_it(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    def record(*args: Any) -> bytes:
        made.append(request_body(*args))
        return made[-1]

    monkeypatch.setattr("tidegate.gateway.gateway.request_body", record)

    async def main() -> None:
        async with gateway("websocket://127.0.0.1:0") as place:
            with await Peer.worker(place.inner, tidegate=1, events=["connect", "close"]) as worker:
                with await WebSocketClient.open(place.port):
                    assert (await worker.event())[0] == ON_CONNECT
                assert (await worker.event())[0] == ON_CLOSE
        assert not made

    run(main())


def test_the_address_of_an_ipv6_client_is_in_brackets(run: Runner) -> None:
    async def main() -> None:
        async with gateway("websocket://[::1]:0") as place:
            with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port, host="::1"):
                assert (await worker.event())[0] == ON_CONNECT
                command, _, body = await worker.event()
                assert command == ON_WEBSOCKET_CONNECT
                assert php.loads_array(body)["server"]["REMOTE_ADDR"] == "[::1]"

    run(main())

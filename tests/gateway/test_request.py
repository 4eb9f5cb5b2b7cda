"""What a worker is told of a WebSocket handshake, as PHP's own functions have it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.support import Peer, gateway
from tests.net.support import Runner, WebSocketClient
from tidegate.gateway.request import parse_str, request_body
from tidegate.protocols.handshake import parse_request
from tidegate.wire import php
from tidegate.wire.commands import ON_CONNECT, ON_WEBSOCKET_CONNECT


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("=1&&[]=2&[a]=3&+=4", {}),
        ("a+b=c+d", {"a_b": "c d"}),
        ("++a=1", {"a": "1"}),
        ("a.b=1&a%20c=2&a.d[e.f]=3", {"a_b": "1", "a_c": "2", "a_d": {"e.f": "3"}}),
        ("%E7%9B%B4=%E6%92%AD", {"直": "播"}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("a=%ff", {"a": b"\xff"}),
        ("a%00b=1", {"a": "1"}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=1&a[7]=2&a[]=3", {"a": {0: "1", 7: "2", 8: "3"}}),
        ("a[01]=1&a[]=2", {"a": {"01": "1", 0: "2"}}),
        ("a[x]=1&a[y]=2", {"a": {"x": "1", "y": "2"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b.c d[e=1", {"a_b_c_d_e": "1"}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a]=1", {"a]": "1"}),
        ("a[ ]=1&a[ b]=2", {"a": {0: "1", " b": "2"}}),
        ("0=a&7=b", {0: "a", 7: "b"}),
    ],
)
def test_a_query_is_read_as_php_reads_it(query: str, expected: dict[Any, Any]) -> None:
    assert php.loads_array(php.dumps(parse_str(query.encode()))) == expected


@given(st.text(alphabet="a[]=&.+ %0b1", max_size=60))
def test_any_query_makes_a_value_that_can_be_sent(query: str) -> None:
    php.loads_array(php.dumps({"get": parse_str(query.encode())}))


def test_a_variable_nested_too_deep_is_left_out_and_the_others_are_there() -> None:
    body = php.dumps({"get": parse_str(b"a%b=1&c%b=2&d=3" % (b"[x]" * 62, b"[x]" * 63))})
    assert list(php.loads_array(body)["get"]) == ["a", "d"]


def test_a_query_of_thousands_of_variables_takes_no_time() -> None:
    begun = time.monotonic()
    (values,) = parse_str(b"&".join([b"a[]"] * 4000)).values()
    assert len(values) == 1000  # max_input_vars
    assert time.monotonic() - begun < 0.5


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


def test_the_address_of_an_ipv6_client_is_in_brackets(run: Runner) -> None:
    async def main() -> None:
        async with gateway("websocket://[::1]:0") as place:
            with await Peer.worker(place.inner) as worker, await WebSocketClient.open(place.port, host="::1"):
                assert (await worker.event())[0] == ON_CONNECT
                command, _, body = await worker.event()
                assert command == ON_WEBSOCKET_CONNECT
                assert php.loads_array(body)["server"]["REMOTE_ADDR"] == "[::1]"

    run(main())

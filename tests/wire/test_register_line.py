"""Lines to and from Register."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.support import vectors
from tidegate.errors import ProtocolError
from tidegate.wire.register_line import (
    PING,
    Addresses,
    broadcast_addresses,
    gateway_connect,
    is_gateway_address,
    parse_line,
    read_addresses,
    worker_connect,
)


@pytest.mark.parametrize(("file", "secret"), [("gateway_client", ""), ("gateway_client_with_secret", "s3cret")])
def test_the_push_clients_question_and_registers_answer_are_the_recorded_ones(file: str, secret: str) -> None:
    steps = [step for step in vectors(file)["steps"] if "register_request" in step]
    assert steps
    for step in steps:
        assert worker_connect(secret) == step["register_request"].encode()
        assert broadcast_addresses(["127.0.0.1:2950"]) == step["register_reply"].encode()
        assert read_addresses(parse_line(step["register_reply"])) == Addresses(("127.0.0.1:2950",))


def test_a_gateway_says_where_it_is_and_that_it_is_ours() -> None:
    assert parse_line(gateway_connect("127.0.0.1:2900", 'o"ther')) == {
        "event": "gateway_connect",
        "address": "127.0.0.1:2900",
        "secret_key": 'o"ther',
        "tidegate": 1,
    }
    assert parse_line(PING) == {"event": "ping"}


def test_the_list_of_ours_is_there_only_where_there_are_any() -> None:
    assert "tidegate" not in parse_line(broadcast_addresses(["10.0.0.1:2900"]))
    line = broadcast_addresses(["10.0.0.1:2900", "10.0.0.2:2900"], ["10.0.0.2:2900"])
    assert read_addresses(parse_line(line)) == Addresses(
        ("10.0.0.1:2900", "10.0.0.2:2900"), frozenset({"10.0.0.2:2900"})
    )


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([], ()),
        ({}, ()),
        ({"0": "10.0.0.1:1", "2": "10.0.0.2:2"}, ("10.0.0.1:1", "10.0.0.2:2")),
        (["10.0.0.1:1", "10.0.0.1:1"], ("10.0.0.1:1",)),
        (["10.0.0.1:1", 5, None, ["10.0.0.2:2"], "localhost:1", "10.0.0.1"], ("10.0.0.1:1",)),
    ],
)
def test_addresses_are_a_lists_or_an_objects_values_without_what_is_none(
    addresses: Any, found: tuple[str, ...]
) -> None:
    message = {"event": "broadcast_addresses", "addresses": addresses, "tidegate": [["x"], "10.0.0.9:9", None]}
    assert read_addresses(message) == Addresses(found)


@pytest.mark.parametrize(
    "message",
    [
        {"event": "broadcast_addresses"},
        {"event": "broadcast_addresses", "addresses": "10.0.0.1:1"},
        {"event": "broadcast_addresses", "addresses": None},
        {"event": "hello\ud800", "addresses": []},
    ],
)
def test_what_has_no_addresses_is_an_error(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_addresses(message)
    str(caught.value).encode()


@pytest.mark.parametrize("address", ["127.0.0.1:2900", "0.0.0.0:1", "255.255.255.255:65535"])
def test_an_address_is_a_dotted_quad_and_a_port(address: str) -> None:
    assert is_gateway_address(address)


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "256.0.0.1:1", "1.2.3:1", "[::1]:1", "localhost:1",
     "127.0.0.1:02900", "010.0.0.1:1", "127.0.0.1:1\n", "１27.0.0.1:1", "127.0.0.1:99999", None, 5, ["127.0.0.1:1"]],
)  # fmt: skip
def test_anything_else_is_none(address: object) -> None:
    assert not is_gateway_address(address)


@pytest.mark.parametrize(
    "line",
    ["", "hello", "[]", "1", "null", "{}", '{"event":1}', '{"event":null}', '{"event":"ping"', "[" * 200_000,
     "\ufeff{}", "1" * 5000, b"\xff\xfe", '{"event":"ping"}'.encode("utf-16"), b'{"event":"\xff"}'],
)  # fmt: skip
def test_what_is_no_line_of_this_protocol_is_an_error(line: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_line(line)


@given(
    st.binary(max_size=50)
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_any_line_is_a_message_or_an_error(line: bytes) -> None:
    try:
        message = parse_line(line)
        read_addresses(message)
    except ProtocolError:
        return
    assert message["event"] == "broadcast_addresses"

"""Calls without I/O: what is refused, which gateways get which packets, how large those are."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.client import calls
from tidegate.client.api import AsyncPushAPI, PushAPI
from tidegate.client.arguments import encode_json
from tidegate.client.call import Call
from tidegate.wire import commands
from tidegate.wire.packet import Packet, PacketReader
from tidegate.wire.register_line import Addresses

ONE, TWO = "127.0.0.1:2900", "127.0.0.1:2901"
BOTH = Addresses((ONE, TWO))
ON_ONE, ALSO_ON_ONE, ON_TWO = "7f0000010b5400000001", "7f0000010b5400000002", "7f0000010b5500000001"


def parsed(call: Call[Any], addresses: Addresses = BOTH, limit: int = 10_000) -> list[tuple[str, Packet]]:
    found = []
    for address, data in call.packets(addresses, limit):
        assert len(data) <= limit
        packets = PacketReader(limit).feed(data)
        assert len(packets) == 1
        found.append((address, packets[0]))
    return found


def exts(call: Call[Any], **options: Any) -> list[tuple[str, Any]]:
    """What each gateway is told in ext data."""
    return [(address, json.loads(packet[3]) if packet[3] else None) for address, packet in parsed(call, **options)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: calls.is_online("7f0000010b540000000"),
        lambda: calls.is_online("7F0000010B5400000001"),
        lambda: calls.is_online(b"7f0000010b5400000001"),  # type: ignore[arg-type]
        lambda: calls.send_to_client("x", "hello"),
        lambda: calls.send_to_all("hello", [ON_ONE, "x"]),
        lambda: calls.send_to_all("hello", exclude="x"),
        lambda: calls.send_to_group("a", "hello", ["x"]),
        lambda: calls.send_to_uid("", "hello"),
        lambda: calls.send_to_uid(["a", ""], "hello"),
        lambda: calls.bind_uid(ON_ONE, ""),
        lambda: calls.join_group(ON_ONE, ""),
        lambda: calls.ungroup(""),
        lambda: calls.get_client_count_by_group(""),
        lambda: calls.join_group(ON_ONE, "\ud800"),
        lambda: calls.join_group(ON_ONE, "ü" * 32_769),
        lambda: calls.send_to_all("\ud800"),
    ],
)
def test_ids_and_names_that_nothing_can_have_are_value_errors(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: calls.send_to_all({"type": "hello"}),  # type: ignore[arg-type]
        lambda: calls.send_to_all(None),  # type: ignore[arg-type]
        lambda: calls.send_to_all("hello", 7),  # type: ignore[arg-type]
        lambda: calls.close_client(ON_ONE, 7),  # type: ignore[arg-type]
        lambda: calls.bind_uid(ON_ONE, True),
        lambda: calls.bind_uid(ON_ONE, 1.0),  # type: ignore[arg-type]
        lambda: calls.bind_uid(ON_ONE, b"u"),  # type: ignore[arg-type]
        lambda: calls.send_to_uid(b"u", "hello"),
        lambda: calls.send_to_uid([None], "hello"),  # type: ignore[list-item]
        lambda: calls.is_uids_online(None),  # type: ignore[arg-type]
        lambda: calls.set_session(ON_ONE, [1]),  # type: ignore[arg-type]
        lambda: calls.set_session(ON_ONE, {"at": object()}),
    ],
)
def test_values_of_other_types_are_type_errors(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r".{10}"):
        make()


def test_an_integer_that_has_no_64_bits_is_refused_in_a_session() -> None:
    with pytest.raises(OverflowError):
        calls.update_session(ON_ONE, {"n": 2**63})


def test_a_call_to_one_client_concerns_its_gateway_alone() -> None:
    call = calls.join_group(ON_TWO, "0")
    assert (call.address, call.needs_addresses, call.is_query) == (TWO, False, False)
    assert [(address, packet[:5]) for address, packet in parsed(call, Addresses())] == [
        (TWO, (commands.JOIN_GROUP, 1, commands.SCALAR, b"0", b""))
    ]


def test_bytes_are_marked_binary_only_towards_gateways_that_know_the_mark() -> None:
    addresses = Addresses((ONE, TWO), frozenset({TWO}))
    flags = [packet[2] for _, packet in parsed(calls.send_to_all(b"hello"), addresses)]
    assert flags == [commands.SCALAR, commands.SCALAR | commands.BINARY]
    call = calls.close_client(ON_TWO, b"bye")
    assert call.needs_addresses
    assert parsed(call, addresses)[0][1][2] == commands.SCALAR | commands.BINARY
    for raw in (calls.send_to_client(ON_TWO, b"\x81\x00", raw=True), calls.send_to_client(ON_TWO, "hello")):
        assert not raw.needs_addresses
        assert not parsed(raw, addresses)[0][1][2] & commands.BINARY


def test_each_gateway_is_sent_its_own_connection_ids_only() -> None:
    everyone = [ON_ONE, ON_TWO, ALSO_ON_ONE, ON_ONE]
    assert exts(calls.send_to_all("m", everyone), addresses=Addresses()) == [
        (ONE, {"connections": {"1": 1, "2": 2}}),
        (TWO, {"connections": {"1": 1}}),
    ]
    assert exts(calls.send_to_all("m", everyone, ON_TWO)) == [(ONE, {"connections": {"1": 1, "2": 2}})]
    assert exts(calls.send_to_all("m", exclude=ALSO_ON_ONE)) == [(ONE, {"exclude": {"2": 2}}), (TWO, None)]
    assert exts(calls.send_to_group(7, "m", [ON_TWO])) == [
        (ONE, {"group": [7], "exclude": None}),
        (TWO, {"group": [7], "exclude": {"1": 1}}),
    ]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (calls.send_to_all("m", []), None),
        (calls.send_to_all("m", ON_ONE, ON_ONE), None),
        (calls.send_to_uid([], "m"), None),
        (calls.send_to_group((), "m"), None),
        (calls.is_uids_online([]), {}),
        (calls.batch_get_client_id_by_uid([]), {}),
        (calls.batch_get_client_id_count_by_group([]), {}),
        (calls.get_client_id_list_by_group([]), []),
        (calls.get_uid_count_by_group([]), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_call_that_names_nobody_sends_nothing(call: Call[Any], result: Any) -> None:
    assert call.packets(BOTH) == []
    assert not call.needs_addresses
    if call.is_query:
        assert call.merge([]) == result


class Room(IntEnum):
    LOBBY = 7


def test_names_are_sent_as_written_and_each_once() -> None:
    assert exts(calls.send_to_uid(["7", 7, "0", 0, 42, "42", Room.LOBBY], "m"))[0][1] == ["7", "0", 42]
    assert parsed(calls.bind_uid(ON_ONE, Room.LOBBY))[0][1][3] == b"7"
    assert exts(calls.send_to_uid((name for name in ("a", "b")), "m"))[0][1] == ["a", "b"]


def test_a_number_that_php_would_make_a_float_of_is_sent_as_text() -> None:
    assert parsed(calls.send_to_uid([2**63 - 1, 2**63], "m"))[0][1][3] == b'[9223372036854775807,"9223372036854775808"]'


def test_json_is_as_php_writes_it() -> None:
    assert encode_json(["a/b", "直\U0001f600", '"\\\x00\n', 42]) == (
        rb'["a\/b","\u76f4\ud83d\ude00","\"\\\u0000\n",42]'
    )


@given(st.lists(st.text(min_size=1) | st.integers()))
def test_any_names_arrive_as_they_were_meant(names: list[str | int]) -> None:
    for name in names:
        if isinstance(name, int):
            assert parsed(calls.join_group(ON_ONE, name))[0][1][3] == str(name).encode()
        else:
            assert parsed(calls.join_group(ON_ONE, name), limit=10**6)[0][1][3] == name.encode()
    if names:
        told = exts(calls.send_to_uid(names, "m"), limit=10**6)[0][1]
        assert [str(name) for name in told] == list(dict.fromkeys(map(str, names)))


@given(st.lists(st.text("aü/", min_size=1, max_size=30), min_size=1, unique=True), st.integers(180, 500))
def test_a_list_is_split_where_one_packet_would_be_too_long(uids: list[str], limit: int) -> None:
    call = calls.send_to_uid(uids, "hello")
    told = exts(call, addresses=Addresses((ONE,)), limit=limit + 5)
    assert [uid for _, part in told for uid in part] == uids
    whole = len(call.packets(Addresses((ONE,)))[0][1])
    assert (len(told) == 1) == (whole <= limit + 5)


def test_many_connections_are_split_for_each_gateway() -> None:
    client_ids = [f"7f0000010b54{number:08x}" for number in range(1, 2001)] + [ON_TWO]
    told = exts(calls.send_to_all("hello", client_ids), limit=1_000)
    assert {address for address, _ in told} == {ONE, TWO}
    reached = [number for address, ext in told for number in ext["connections"].values() if address == ONE]
    assert reached == list(range(1, 2001))


@pytest.mark.parametrize(
    "call",
    [
        calls.send_to_client(ON_ONE, "x" * 1000),
        calls.send_to_all("x" * 1000),
        calls.send_to_group([f"group {number}" for number in range(100)], "m"),
        calls.send_to_all("m", exclude=[f"7f0000010b54{number:08x}" for number in range(1, 200)]),
        calls.send_to_uid(["a", "x" * 1000], "m"),
        calls.set_session(ON_ONE, {"x": "x" * 1000}),
    ],
    ids=lambda call: call.name,
)
def test_what_can_not_be_split_is_refused(call: Call[Any]) -> None:
    with pytest.raises(ValueError, match="over the limit of 900"):
        call.packets(BOTH, 900)


def test_the_limit_is_the_last_size_that_passes() -> None:
    call = calls.send_to_client(ON_ONE, "x" * 72)
    assert len(call.packets(BOTH, 100)[0][1]) == 100
    with pytest.raises(ValueError, match="a packet of 100 bytes, over the limit of 99"):
        call.packets(BOTH, 99)


def test_close_uid_is_a_query_and_then_a_kick_for_each_client_found() -> None:
    call = calls.close_uid("u", "bye")
    kick = call.merge([(ONE, b"a:2:{i:0;i:1;i:1;i:2;}"), (TWO, b"a:1:{i:0;i:1;}")])
    assert [(address, packet[0], packet[1], packet[4]) for address, packet in parsed(kick)] == [
        (ONE, commands.KICK, 1, b"bye"),
        (ONE, commands.KICK, 2, b"bye"),
        (TWO, commands.KICK, 1, b"bye"),
    ]
    assert call.merge([(ONE, b"a:0:{}")]).packets(BOTH) == []


def test_a_command_has_nothing_to_merge() -> None:
    with pytest.raises(TypeError, match="ungroup is a command"):
        calls.ungroup("a").merge([])


def methods(api: type) -> set[str]:
    return {name for name in dir(api) if not name.startswith("_")}


def test_both_apis_have_a_method_for_every_call() -> None:
    aliases = {"get_client_id_count_by_group", "get_all_client_id_count"}
    assert methods(PushAPI) == methods(AsyncPushAPI) == {*calls.__all__} - {"Call"} | aliases | {"flush"}

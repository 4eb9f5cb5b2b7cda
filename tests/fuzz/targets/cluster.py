"""What Register and gateways say: lines, lists of addresses, and answers to queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fuzz.source import Source
from tests.fuzz.target import Target
from tests.wire.support import vectors
from tidegate.client import calls
from tidegate.client.call import Call
from tidegate.errors import ClusterError, ProtocolError
from tidegate.register.table import Table
from tidegate.wire.client_id import format_client_id, pack_ip, parse_client_id
from tidegate.wire.register_line import broadcast_addresses, gateway_connect, parse_line, read_addresses, worker_connect

__all__ = ["TARGETS"]

CLIENT_ID = "7f0000010b5400000001"
QUERIES: tuple[Call[Any], ...] = (
    calls.is_online(CLIENT_ID),
    calls.get_session(CLIENT_ID),
    calls.get_uid_by_client_id(CLIENT_ID),
    calls.is_uid_online("u"),
    calls.is_uids_online(["u", 7]),
    calls.get_client_id_by_uid("u"),
    calls.batch_get_client_id_by_uid(["u", 7]),
    calls.get_client_count_by_group("g"),
    calls.batch_get_client_id_count_by_group(["g", 7]),
    calls.get_client_sessions_by_group("g"),
    calls.get_client_id_list_by_group("g"),
    calls.get_uid_list_by_group("g"),
    calls.get_uid_count_by_group("g"),
    calls.get_all_client_count(),
    calls.get_all_client_sessions(),
    calls.get_all_client_id_list(),
    calls.get_all_uid_list(),
    calls.get_all_uid_count(),
    calls.get_all_group_id_list(),
    calls.get_all_group_uid_list(),
    calls.get_all_group_uid_count(),
    calls.get_all_group_client_id_list(),
    calls.get_all_group_client_id_count(),
)


def run_answers(data: bytes) -> None:
    """What gateways answer is a result, or an error that names the gateway."""
    source = Source(data)
    call = source.choose(QUERIES)
    first, second = source.piece(), source.rest()
    try:
        call.merge([("127.0.0.1:2900", first), ("127.0.0.1:2901", second)])
    except ClusterError as error:
        assert "127.0.0.1:290" in str(error)


def run_lines(data: bytes) -> None:
    """A line is a message of the protocol or an error, to whoever reads it."""
    try:
        message = parse_line(data)
    except ProtocolError:
        return
    try:
        addresses = read_addresses(message)
    except ProtocolError:
        return
    assert addresses.tidegate <= set(addresses.all)
    assert read_addresses(parse_line(broadcast_addresses(addresses.all, addresses.tidegate))) == addresses
    for address in addresses.all:
        host, port = address.split(":")
        client_id = format_client_id(pack_ip(host), int(port), 7)
        assert parse_client_id(client_id) == (address, 7)


def run_register(data: bytes) -> None:
    """Register keeps of its peers no more than there are, whatever they say; each is told what is there."""
    source = Source(data)
    table: Table[int] = Table("s" if source.is_true() else "", is_settling=source.is_true())
    here: dict[int, None] = {}
    while not source.is_empty:
        peer, is_leaving = source.number(8), source.number(8) == 0
        line = b"" if is_leaving else source.piece()
        if is_leaving:
            table.leave(peer)
            here.pop(peer, None)
            continue
        here[peer] = None
        try:
            answer = table.receive(peer, line)
        except ProtocolError:
            table.leave(peer)
            here.pop(peer, None)
            continue
        if answer is not None:
            read_addresses(parse_line(answer))
        assert table.gateways + table.workers <= len(here)
    table.settle()
    told, line = table.take_news()
    assert len(read_addresses(parse_line(line)).all) == table.gateways
    assert len(told) <= table.workers
    for peer in range(8):
        table.leave(peer)
    assert (table.gateways, table.workers) == (0, 0)


def lines() -> list[bytes]:
    return [
        gateway_connect("127.0.0.1:2900"),
        worker_connect("s"),
        broadcast_addresses(["127.0.0.1:2900", "10.0.0.1:2901"], ["10.0.0.1:2901"]),
        b'{"event":"broadcast_addresses","addresses":{"0":"127.0.0.1:2900","2":"127.0.0.1:2900"}}',
        b'{"event":"ping"}',
    ]


def talk() -> Iterator[bytes]:
    said = [line.strip() for line in lines()]
    yield b"\0\0" + b"".join(b"%c\1%c%s" % (peer, len(line), line) for peer, line in enumerate(said))
    said = [gateway_connect("127.0.0.1:2900", "s").strip(), worker_connect("s").strip()] * 3
    yield b"\1\1" + b"".join(b"%c\1%c%s" % (peer, len(line), line) for peer, line in enumerate(said)) + b"\0\0"


def replies() -> Iterator[bytes]:
    for number in range(len(QUERIES)):
        yield b'%c\0a:1:{i:1;a:2:{s:3:"uid";s:1:"u";s:6:"groups";a:1:{s:1:"g";s:1:"g";}}}' % number
    for number, step in enumerate(vectors("gateway_client")["steps"]):
        reply = bytes.fromhex(step.get("reply") or "")[4:]
        if reply and len(reply) < 256:
            yield b"%c%c%s%s" % (number % len(QUERIES), len(reply), reply, reply)


TARGETS = (
    Target("answers", run_answers, replies),
    Target("register-lines", run_lines, lines),
    Target("register-table", run_register, talk),
)

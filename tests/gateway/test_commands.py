"""What workers and push clients ask for is done as the wire protocol's table says, in each form that PHP has for it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.clients import client_frame
from tests.gateway.clients import clients
from tests.gateway.support import Peer, gateway
from tests.net.support import LOOPS, Client, Runner, until
from tidegate.net import throttle
from tidegate.wire import commands, php
from tidegate.wire.packet import MAX_NAME_SIZE, pack


@pytest.fixture
def run() -> Runner:
    """One loop is enough, as nothing here depends on it."""
    return Runner(LOOPS["uvloop"])


BROKEN = b"\xff\xfe\x00 no text"
NAMES = [b"0", b"7", b"-5", b"01", b"1.5", "直播 🎉".encode(), b" ", b"a\x00b", BROKEN, b"x" * MAX_NAME_SIZE]
"""Uids and groups: any text, and what is none."""


def test_any_bytes_are_a_uid_and_a_group(run: Runner) -> None:
    async def main() -> None:
        async with clients(2) as those:
            for name in NAMES:
                for command in (commands.BIND_UID, commands.JOIN_GROUP):
                    await those.do(command, 0, name)
                assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=name) == [those.ids[0]]
                assert await those.ask(commands.GET_CLIENT_COUNT_BY_GROUP, ext=name) == 1
                assert await those.ask(commands.GET_CLIENT_SESSIONS_BY_GROUP, ext=name) == {those.ids[0]: ""}
            groups = await those.ask(commands.GET_GROUP_ID_LIST)
            assert groups == [0, 7, -5, "01", "1.5", "直播 🎉", " ", "a\x00b", BROKEN, "x" * MAX_NAME_SIZE]
            for name in NAMES:
                await those.do(commands.LEAVE_GROUP, 0, name)
                assert await those.ask(commands.GET_CLIENT_COUNT_BY_GROUP, ext=name) == 0
            await those.do(commands.UNBIND_UID, 0, b"ignored")
            assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=NAMES[-1]) == []
            assert those.bad == 0

    run(main())


def test_names_are_numbers_only_where_the_original_has_numbers(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            for name in (b"0", b"7", b"01"):
                await those.do(commands.JOIN_GROUP, 0, name)
            await those.do(commands.BIND_UID, 0, b"42")
            rows = await those.ask(commands.SELECT, ext={"fields": ["uid", "groups", "session"], "where": []})
            assert rows == {those.ids[0]: {"uid": "42", "groups": {0: "0", 7: "7", "01": "01"}, "session": ""}}
            assert await those.ask(commands.BATCH_GET_CLIENT_ID_BY_UID, ext=[42, "43", "42"]) == {42: those.ids, 43: []}
            assert await those.ask(commands.BATCH_GET_CLIENT_COUNT_BY_GROUP, ext={"a": "01", "b": 0}) == {"01": 1, 0: 1}

    run(main())


def test_a_name_that_is_too_long_is_refused_and_the_client_stays_as_it_is(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            await those.do(commands.BIND_UID, 0, b"u")
            for command in (commands.BIND_UID, commands.JOIN_GROUP):
                await those.do(command, 0, b"x" * (MAX_NAME_SIZE + 1))
                await those.do(command, 0, b"x" * 10_000_000)
            rows = await those.ask(commands.SELECT, ext={"fields": ["uid", "groups"], "where": {}})
            assert rows == {those.ids[0]: {"uid": "u", "groups": None}}
            assert those.bad == 4
            assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=b"x" * 10_000_000) == []

    run(main())


def test_empty_names_are_ignored(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            await those.do(commands.JOIN_GROUP, 0, b"g")
            for command in (commands.BIND_UID, commands.JOIN_GROUP, commands.LEAVE_GROUP, commands.UNGROUP):
                await those.do(command, 0)
            rows = await those.ask(commands.SELECT, ext={"fields": ["uid", "groups"], "where": {}})
            assert rows == {those.ids[0]: {"uid": None, "groups": {"g": "g"}}}
            assert await those.ask(commands.GET_CLIENT_COUNT_BY_GROUP) == 1
            assert those.bad == 0

    run(main())


def test_groups_are_null_before_the_first_and_empty_after_the_last(run: Runner) -> None:
    async def main() -> None:
        async with clients(2) as those:
            await those.do(commands.JOIN_GROUP, 0, b"g")
            await those.do(commands.UNGROUP, ext=b"g")
            rows = await those.ask(commands.SELECT, ext={"fields": ["groups"], "where": {}})
            assert rows == {those.ids[0]: {"groups": []}, those.ids[1]: {"groups": None}}
            assert await those.ask(commands.GET_GROUP_ID_LIST) == []

    run(main())


def test_a_client_has_one_uid_and_a_uid_any_number_of_clients(run: Runner) -> None:
    async def main() -> None:
        async with clients() as those:
            for at in range(3):
                await those.do(commands.BIND_UID, at, b"u")
            await those.do(commands.BIND_UID, 1, b"v")
            await those.do(commands.BIND_UID, 2, b"u")
            assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=b"u") == [those.ids[0], those.ids[2]]
            assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=b"v") == [those.ids[1]]

    run(main())


@pytest.mark.parametrize("command", [commands.KICK, commands.DESTROY])
def test_who_is_being_closed_is_gone_for_all_who_ask(run: Runner, command: int) -> None:
    async def main() -> None:
        async with clients(2) as those:
            await those.do(commands.BIND_UID, 0, b"u")
            await those.do(commands.JOIN_GROUP, 0, b"g")
            await those.do(command, 0, body=b"N;", flags=0)
            await those.do(commands.JOIN_GROUP, 0, b"h")  # nothing is done for who is gone
            gone, there = those.ids
            assert await those.ask(commands.IS_ONLINE, 0) == 0
            assert await those.ask(commands.IS_ONLINE, 1) == 1
            assert await those.ask(commands.GET_CLIENT_ID_BY_UID, ext=b"u") == []
            assert await those.ask(commands.GET_GROUP_ID_LIST) == []
            assert await those.ask(commands.GET_CLIENT_COUNT_BY_GROUP) == 1
            assert await those.ask(commands.GET_SESSION_BY_CLIENT_ID, 0) is None
            assert list(await those.ask(commands.GET_ALL_CLIENT_SESSIONS)) == [there]
            wheres: list[Any] = [[], {"connection_id": [gone, there]}]
            for where in wheres:
                assert list(await those.ask(commands.SELECT, ext={"fields": ["uid"], "where": where})) == [there]
            those.sockets[0].sock.close()
            await until(lambda: len(those.place.gateway.connections) == 1)
            assert await those.ask(commands.GET_CLIENT_COUNT_BY_GROUP) == 1

    run(main())


def test_sessions_are_bytes_that_are_given_back_as_they_came(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            for stored in (b'a:1:{s:1:"a";O:8:"stdClass":0:{}}', BROKEN):
                await those.do(commands.SET_SESSION, 0, stored)
                assert await those.push.ask(commands.GET_SESSION_BY_CLIENT_ID, those.ids[0]) == stored
            assert (await those.ask(commands.GET_ALL_CLIENT_SESSIONS))[those.ids[0]] == BROKEN
            await those.do(commands.UPDATE_SESSION, 0, php.dumps({"a": 1}))  # what is there can't be merged with
            await those.do(commands.SET_SESSION, 0)
            assert await those.ask(commands.GET_SESSION_BY_CLIENT_ID, 0) == []
            assert those.bad == 1
            await those.do(commands.UPDATE_SESSION, 0, php.dumps({"a": 1, "b": {"c": 1}}))
            await those.do(commands.UPDATE_SESSION, 0, php.dumps({"b": {"d": 2}}))
            assert await those.ask(commands.GET_SESSION_BY_CLIENT_ID, 0) == {"a": 1, "b": {"c": 1, "d": 2}}
            await those.do(commands.PATCH_SESSION, 0, php.dumps({"e": 3}), b'["a"]')
            assert await those.ask(commands.GET_SESSION_BY_CLIENT_ID, 0) == {"b": {"c": 1, "d": 2}, "e": 3}
            assert await those.ask(commands.GET_SESSION_BY_CLIENT_ID) is None

    run(main())


def test_a_session_may_have_half_of_a_packet_and_stays_as_it_is_when_it_would_have_more(run: Runner) -> None:
    async def main() -> None:
        async with clients(1, max_packet_size=20_000) as those:
            fits = php.dumps({"a": "x" * 9000})
            await those.do(commands.SET_SESSION, 0, fits)
            await those.do(commands.SET_SESSION, 0, php.dumps({"a": "x" * 10_000}))
            await those.do(commands.UPDATE_SESSION, 0, php.dumps({"b": "x" * 9000}))
            await those.do(commands.PATCH_SESSION, 0, php.dumps({"b": "x" * 9000}), b"[]")
            assert await those.push.ask(commands.GET_SESSION_BY_CLIENT_ID, those.ids[0]) == fits
            assert those.bad == 3

    run(main())


def test_select_is_a_union_and_reads_lists_and_objects(run: Runner) -> None:
    async def main() -> None:
        async with clients(4) as those:
            a, b, c, _ = those.ids
            await those.do(commands.BIND_UID, 0, b"7")
            await those.do(commands.JOIN_GROUP, 1, b"g")
            await those.do(commands.JOIN_GROUP, 0, b"g")
            where = {"groups": {"x": "g"}, "uid": [7], "connection_id": {str(c): c}}
            assert list(await those.ask(commands.SELECT, ext={"fields": {"0": "uid"}, "where": where})) == [b, a, c]
            where = {"connection_id": [str(c), 12345, c]}
            assert await those.ask(commands.SELECT, ext={"fields": ["session", "other"], "where": where}) == {
                c: {"session": "", "other": None}
            }
            for nothing in (b"", b"[]", b"{}"):
                assert await those.ask(commands.SELECT, ext=nothing) == []
            assert those.bad == 0

    run(main())


BAD = [
    pack(99),
    pack(2),
    pack(commands.DRAIN),  # of no meaning from a push client
    pack(commands.SEND_TO_ALL, ext=b"{"),
    pack(commands.SEND_TO_ALL, ext=b"5"),
    pack(commands.SEND_TO_ALL, ext=b'{"connections":5}'),
    pack(commands.SEND_TO_ALL, ext=b'{"exclude":"x"}'),
    pack(commands.SEND_TO_ALL, ext=b'{"exclude":NaN}'),
    pack(commands.SEND_TO_ALL, ext=b"[" * 100_000),
    pack(commands.SEND_TO_ALL, ext=b'{"connections":[%s]}' % (b"9" * 5000)),
    pack(commands.SEND_TO_ALL, body=b'O:8:"stdClass":0:{}', flags=0),
    pack(commands.SEND_TO_ALL, body=b"", flags=0),
    pack(commands.SEND_TO_ALL, body=b"d:NAN;", flags=0),
    pack(commands.SEND_TO_ALL, body=php.dumps([BROKEN]), flags=0),
    pack(commands.SEND_TO_UID),
    pack(commands.SEND_TO_UID, ext=b'"u"'),
    pack(commands.SEND_TO_UID, ext=b"[[]]"),
    pack(commands.SEND_TO_UID, ext=b'["\\ud800"]'),
    pack(commands.SEND_TO_UID, ext=b'["\xff"]'),
    pack(commands.SEND_TO_GROUP, ext=b"[]"),
    pack(commands.SEND_TO_GROUP, ext=b'{"group":"g"}'),
    pack(commands.BATCH_GET_CLIENT_ID_BY_UID, ext=b"null"),
    pack(commands.SELECT, ext=b"[1]"),
    pack(commands.SELECT, ext=b'{"where":[]}'),
    pack(commands.SELECT, ext=b'{"fields":["uid"],"where":{"color":["red"]}}'),
    pack(commands.SELECT, ext=b'{"fields":["uid"],"where":5}'),
]


def test_a_command_that_cannot_be_carried_out_is_dropped_logged_and_counted(
    run: Runner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "LINES_A_SECOND", 1000)

    async def main() -> None:
        async with clients(1) as those:
            for packet in BAD:
                caplog.clear()
                bad = those.bad
                await those.push.send(packet)
                assert await those.ask(commands.IS_ONLINE, 0) == 1, packet  # the link stays
                assert those.bad == bad + 1, packet
                assert [record.levelno for record in caplog.records] == [logging.WARNING], packet
            await those.got([])

    run(main())


def test_commands_about_nobody_do_nothing(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            for command in (5, 7, 8, 9, 12, 13, 20, 21, 204, 214):
                await those.push.tell(command, 4_000_000_000, b"x", b"N;", 0)
            assert await those.push.ask(commands.IS_ONLINE, 4_000_000_000) == b"i:0;"
            assert await those.push.ask(commands.GET_SESSION_BY_CLIENT_ID, 4_000_000_000) == b"N;"
            assert those.bad == 0

    run(main())


def test_answers_come_in_the_order_asked_among_commands(run: Runner) -> None:
    async def main() -> None:
        async with clients(1) as those:
            packets = b""
            for turn in range(300):
                packets += pack(commands.JOIN_GROUP, those.ids[0], b"%d" % turn)
                packets += pack(commands.GET_GROUP_ID_LIST)
            await those.push.send(packets)
            for turn in range(300):
                assert php.loads(await those.push.answer()) == list(range(turn + 1))

    run(main())


def test_what_a_client_was_in_is_gone_with_it(run: Runner) -> None:
    async def main() -> None:
        async with clients(3) as those:
            for at in range(3):
                await those.do(commands.BIND_UID, at, b"u%d" % at)
                for group in range(50):
                    await those.do(commands.JOIN_GROUP, at, b"g%d" % group)
            await those.ask(commands.IS_ONLINE)
            tables = those.place.gateway._tables
            assert tables is not None
            assert (len(tables.uids), len(tables.groups)) == (3, 50)
            those.sockets[0].sock.close()
            those.sockets[1].reset()
            await those.sockets[2].send(client_frame(0x88, b""))
            await until(lambda: not those.place.gateway.connections)
            assert (tables.uids, tables.groups, tables._leaving) == ({}, {}, set())

    run(main())


def test_ids_of_connections_are_never_0_and_begin_anywhere(run: Runner) -> None:
    async def first() -> int:
        async with gateway("text://127.0.0.1:0") as place:
            with await Peer.worker(place.inner) as worker, await Client.connect(place.port):
                _, number, _ = await worker.event()
                return number

    async def main() -> None:
        numbers = {await first() for _ in range(3)}
        assert len(numbers) == 3
        assert 0 not in numbers

    run(main())

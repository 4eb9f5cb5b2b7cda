"""Messages reach those whom a command names, in the form that it says."""

from __future__ import annotations

import pytest

from tests.gateway.clients import clients
from tests.net.support import LOOPS, Runner
from tidegate.net import audience
from tidegate.wire import commands, php
from tidegate.wire.packet import pack


@pytest.fixture
def run() -> Runner:
    """One loop is enough, as nothing here depends on it."""
    return Runner(LOOPS["uvloop"])


REACHED = [
    (b"", "012"),
    (b"{}", "012"),
    (b"[]", "012"),
    (b'{"connections":[%0,%2]}', "02"),
    (b'{"connections":{"5":%0,"x":%0}}', "0"),
    (b'{"connections":["%1",99]}', "1"),
    (b'{"connections":[]}', ""),
    (b'{"connections":{}}', ""),
    (b'{"connections":null}', "012"),
    (b'{"exclude":{"%0":1,"%1":"x"}}', "2"),
    (b'{"exclude":[]}', "012"),
    (b'{"exclude":null}', "012"),
    (b'{"exclude":{"a":1,"":2,"-1":3}}', "012"),
    (b'{"connections":[%0,%1],"exclude":{"%1":%1}}', "0"),
]


def test_send_to_all_reaches_whom_it_names(run: Runner) -> None:
    async def main() -> None:
        async with clients() as those:
            for ext, reached in REACHED:
                for at, number in enumerate(those.ids):
                    ext = ext.replace(b"%%%d" % at, b"%d" % number)
                await those.do(commands.SEND_TO_ALL, ext=ext, body=ext)
                await those.got(*([ext.decode()] if str(at) in reached else [] for at in range(3)))

    run(main())


def test_messages_to_uids_and_groups_reach_each_client_once(run: Runner) -> None:
    async def main() -> None:
        async with clients() as those:
            for at, uid in enumerate((b"u", b"u", b"7")):
                await those.do(commands.BIND_UID, at, uid)
            for at, group in ((0, b"a"), (1, b"a"), (1, b"0"), (2, b"0")):
                await those.do(commands.JOIN_GROUP, at, group)
            await those.do(commands.SEND_TO_UID, ext=b'["u","u","nobody"]', body=b"1")
            await those.do(commands.SEND_TO_UID, ext=b'{"3":7,"4":"u"}', body=b"2")
            await those.do(commands.SEND_TO_GROUP, ext=b'{"group":["a",0],"exclude":null}', body=b"3")
            await those.do(
                commands.SEND_TO_GROUP, ext=b'{"group":{"1":"0"},"exclude":{"%d":1}}' % those.ids[2], body=b"4"
            )
            await those.do(commands.SEND_TO_GROUP, ext=b'{"group":[]}', body=b"5")
            await those.got(["1", "2", "3"], ["1", "2", "3", "4"], ["2", "3"])

    run(main())


@pytest.mark.parametrize(
    ("flags", "body", "frame"),
    [
        (1, "héllo".encode(), (0x81, "héllo".encode())),
        (1, b"", (0x81, b"")),
        (1, b"\xff\x00", (0x82, b"\xff\x00")),
        (5, b"text", (0x82, b"text")),
        (3, b"\x82\x01x", (0x82, b"x")),
        (0, php.dumps(None), (0x81, b"null")),
        (0, php.dumps([1, 2.0, 0.5, True, None, "直/\u2028"]), (0x81, '[1,2,0.5,true,null,"直\\/\\u2028"]'.encode())),
        (0, php.dumps({"a": {"b": []}, 7: "x"}), (0x81, b'{"a":{"b":[]},"7":"x"}')),
    ],
)
def test_a_body_is_text_binary_raw_or_a_php_value(
    run: Runner, flags: int, body: bytes, frame: tuple[int, bytes]
) -> None:
    async def main() -> None:
        async with clients(1) as those:
            for command in (commands.SEND_TO_ONE, commands.SEND_TO_ALL):
                await those.do(command, 0, body=body, flags=flags)
                assert await those.sockets[0].read_frame() == frame

    run(main())


@pytest.mark.parametrize(
    ("flags", "body", "last"),
    [
        (0, b"N;", None),
        (1, b"bye", (0x81, b"bye")),
        (3, b"bye", (0x81, b"bye")),  # the raw flag has no meaning here
        (5, b"bye", (0x82, b"bye")),
        (1, b"", (0x81, b"")),
        (0, php.dumps({"a": 1}), (0x81, b'{"a":1}')),
    ],
)
def test_kick_sends_a_last_message_and_closes(
    run: Runner, flags: int, body: bytes, last: tuple[int, bytes] | None
) -> None:
    async def main() -> None:
        async with clients(1) as those:
            await those.do(commands.KICK, 0, body=body, flags=flags)
            if last is not None:
                assert await those.sockets[0].read_frame() == last
            assert await those.sockets[0].read_close() == (1000, "")

    run(main())


def test_a_crowd_that_changes_while_it_is_sent_to_gets_what_is_meant_for_it(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "CROWD", 3)

    async def main() -> None:
        async with clients(5) as those:
            ids, group = those.ids, b'{"group":["g"]}'
            packets = [
                *(pack(commands.JOIN_GROUP, number, b"g") for number in ids[:4]),
                pack(commands.SEND_TO_GROUP, 0, group, b"1"),
                pack(commands.JOIN_GROUP, ids[4], b"g"),
                pack(commands.SEND_TO_GROUP, 0, group, b"2"),
                pack(commands.LEAVE_GROUP, ids[0], b"g"),
                pack(commands.SEND_TO_ONE, ids[1], b"", b"alone"),
                pack(commands.SEND_TO_GROUP, 0, b'{"group":["g"],"exclude":{"%d":1}}' % ids[2], b"3"),
                pack(commands.SEND_TO_ALL, body=b"4"),
                pack(commands.UNGROUP, 0, b"g"),
                pack(commands.SEND_TO_GROUP, 0, group, b"5"),
                pack(commands.SEND_TO_ALL, body=b"6"),
            ]
            await those.push.send(b"".join(packets))  # in one turn
            await those.got(
                ["1", "2", "4", "6"],
                ["1", "2", "alone", "3", "4", "6"],
                ["1", "2", "4", "6"],
                ["1", "2", "3", "4", "6"],
                ["2", "3", "4", "6"],
            )

    run(main())

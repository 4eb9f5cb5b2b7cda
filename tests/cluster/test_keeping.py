"""Announcement and Directory: what stays known while Registers come and go."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.cluster.support import PHP_REFUSAL, STRANGERS, ScriptedRegister, listing
from tests.net.support import Runner, until
from tests.ports import free_port
from tidegate.cluster import keeper
from tidegate.cluster.announcement import Announcement
from tidegate.cluster.directory import Directory
from tidegate.wire.register_line import Addresses

ADDRESS = "127.0.0.1:2900"


def announcing(*registers: ScriptedRegister, secret_key: str = "") -> Announcement:
    announcement = Announcement([register.place for register in registers], ADDRESS, secret_key)
    announcement.start()
    return announcement


class Following:
    """A directory, and what it said."""

    def __init__(self, *registers: ScriptedRegister) -> None:
        self.said: list[Addresses] = []
        self.directory = Directory([register.place for register in registers], "", self.said.append)
        self.directory.start()

    @property
    def all(self) -> tuple[str, ...]:
        return self.directory.addresses.all


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_gateway_announces_itself_to_each_register_and_stays(run: Runner) -> None:
    async def main() -> None:
        async with ScriptedRegister() as one, ScriptedRegister() as other:
            announcement = announcing(one, other, secret_key="sec")
            assert await announcement.announced(5)
            await until(lambda: one.lines and other.lines)
            assert announcement.connected == 2
            line = {"event": "gateway_connect", "address": ADDRESS, "secret_key": "sec", "tidegate": 1}
            assert one.lines == other.lines == [line]
            assert len(one.writers) == 1
            await announcement.stop()
            await announcement.stop()
            assert announcement.connected == 0
            await until(lambda: not one.writers)
            assert one.accepted == 1

    run(main())


def test_a_gateway_waits_for_a_register_that_is_not_there_yet(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        register = ScriptedRegister()
        announcement = announcing(register)
        assert not await announcement.announced(0.15)
        assert announcement.connected == 0
        async with register:
            assert await announcement.announced(5)
            await until(lambda: len(messages(caplog)) == 2)
            await announcement.stop()

    run(main())
    assert "Connection refused. Trying again" in messages(caplog)[0]  # once, though it was tried several times
    assert "is there again" in messages(caplog)[1]


def test_a_gateway_announces_itself_again_when_register_is_back(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        register = ScriptedRegister()
        await register.start()
        announcement = announcing(register)
        await until(lambda: register.lines)
        for times in (2, 3):
            await asyncio.sleep(keeper.LASTING_SECONDS + 0.05)  # for the connection to count as taken
            await register.stop()
            await until(lambda: announcement.connected == 0)
            await asyncio.sleep(0.1)  # several attempts
            await register.start()
            await until(lambda times=times: len(register.lines) == times)  # type: ignore[misc]
            assert await announcement.announced(5)
        await until(lambda: len(messages(caplog)) == 4)
        await announcement.stop()
        await register.stop()

    run(main())
    assert not messages(caplog, logging.ERROR)


@pytest.mark.parametrize("answer", [PHP_REFUSAL, None])
def test_a_refusal_is_logged_once_as_an_error_and_tried_again(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture, answer: bytes | None
) -> None:
    async def main() -> None:
        async with ScriptedRegister(hangs_up=True, first=answer or b"") as register:
            announcement = announcing(register, secret_key="hush")
            await until(lambda: register.accepted > 4)
            register.hangs_up, register.first = False, b""
            await until(lambda: messages(caplog))
            assert announcement.connected == 1
            await announcement.stop()

    run(main())
    (error,) = messages(caplog, logging.ERROR)
    assert "refuses us, most likely because its secret_key is another one" in error
    assert "hush" not in error
    (warning,) = messages(caplog)
    assert "is there again" in warning


@pytest.mark.parametrize(("line", "what"), STRANGERS.values(), ids=STRANGERS)
def test_what_listens_in_a_registers_place_is_named_where_it_says_so(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture, line: bytes, what: str
) -> None:
    async def main() -> None:
        async with ScriptedRegister(hangs_up=True, first=line) as register:
            announcement = announcing(register)
            await until(lambda: register.accepted > 2)
            await announcement.stop()
            (error,) = messages(caplog, logging.ERROR)
            assert error.startswith(f"Register {register.place}: {what.format(register.place)}. Trying again every")

    run(main())


@pytest.mark.parametrize("times", [1, 2])
def test_what_hangs_up_at_once_does_not_refuse_us_before_it_did_so_twice(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with ScriptedRegister() as register:
            register.cuts_off = times
            announcement = announcing(register)
            await until(lambda: "is there again" in caplog.text)
            assert announcement.connected == 1
            assert register.accepted == times + 1
            await announcement.stop()

    run(main())
    errors, warnings, notes = (messages(caplog, level) for level in (logging.ERROR, logging.WARNING, logging.INFO))
    assert "it hung up. Trying again" in notes[0]
    assert len(errors) == times - 1
    assert all("refuses us" in error for error in errors)
    assert len(warnings) == times - 1
    assert "is there again" in (warnings or notes)[-1]


def test_one_that_breaks_off_between_hanging_up_has_not_refused_us(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        register = ScriptedRegister()
        register.cuts_off = 2
        await register.start()
        announcement = announcing(register)
        for count in (1, 2):
            await until(lambda count=count: register.accepted == count)  # type: ignore[misc]
            await register.stop()
            await asyncio.sleep(0.1)  # several attempts
            await register.start()
        assert await announcement.announced(5)
        await until(lambda: len(messages(caplog)) == 2)
        await announcement.stop()
        await register.stop()

    run(main())
    assert not messages(caplog, logging.ERROR)


def test_a_register_whose_successor_is_there_at_once_is_no_warning(
    run: Runner, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with ScriptedRegister(listing("10.0.0.1:1")) as register:
            announcement, following = announcing(register), Following(register)
            assert await following.directory.known(5)
            await asyncio.sleep(keeper.LASTING_SECONDS + 0.05)  # for the connections to count as taken
            for writer in register.writers:
                writer.close()
            await until(lambda: len(messages(caplog, logging.INFO)) == 4)
            await announcement.stop()
            await following.directory.stop()

    run(main())
    assert not messages(caplog)
    assert not messages(caplog, logging.ERROR)


def test_a_connection_away_from_this_machine_is_kept_awake(
    run: Runner, hurry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "PING_SECONDS", 0.05)

    async def main() -> None:
        async with ScriptedRegister() as register:
            announcement = announcing(register)
            elsewhere = Announcement([f"localhost:{register.port}"], ADDRESS, "")
            elsewhere.start()
            await until(lambda: len(register.lines) >= 5)
            assert [line["event"] for line in register.lines].count("gateway_connect") == 2
            assert register.lines[-1] == {"event": "ping"}
            await announcement.stop()
            pings = len(register.lines)
            await until(lambda: len(register.lines) > pings)
            await elsewhere.stop()
            # One on 127.0.0.1 sends none.
            announcement = announcing(register)
            await until(lambda: register.lines[-1]["event"] == "gateway_connect")
            count = len(register.lines)
            await asyncio.sleep(0.2)
            assert len(register.lines) == count
            await announcement.stop()

    run(main())


def test_a_worker_knows_the_union_of_what_the_registers_say(run: Runner) -> None:
    async def main() -> None:
        async with (
            ScriptedRegister(listing("10.0.0.1:1", "10.0.0.2:2")) as one,
            ScriptedRegister(listing("10.0.0.2:2", "10.0.0.3:3", tidegate=["10.0.0.2:2"])) as other,
        ):
            following = Following(one, other)
            assert await following.directory.known(5)
            expected = Addresses(("10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"), frozenset({"10.0.0.2:2"}))
            assert following.directory.addresses == following.said[-1] == expected
            count = len(following.said)
            other.say(b'{"event":"ping"}\n' + listing("10.0.0.2:2", "10.0.0.3:3", tidegate=["10.0.0.2:2"]))
            one.say(listing("10.0.0.2:2"))
            await until(lambda: len(following.said) > count)
            assert following.said[count:] == [Addresses(("10.0.0.2:2", "10.0.0.3:3"), frozenset({"10.0.0.2:2"}))]
            await following.directory.stop()
            assert following.all == ("10.0.0.2:2", "10.0.0.3:3")

    run(main())


def test_a_worker_reads_lists_as_phps_register_writes_them(run: Runner) -> None:
    async def main() -> None:
        answer = b'{"event":"broadcast_addresses","addresses":{"0":"10.0.0.1:1","2":"10.0.0.2:2"}}\n'
        async with ScriptedRegister(answer) as register:
            following = Following(register)
            assert await following.directory.known(5)
            assert following.all == ("10.0.0.1:1", "10.0.0.2:2")
            register.say(answer.replace(b"10.0.0.1:1", b"10.0.0.2:2")[:40])
            await asyncio.sleep(0.02)
            assert following.all == ("10.0.0.1:1", "10.0.0.2:2")
            register.say(answer.replace(b"10.0.0.1:1", b"10.0.0.2:2")[40:])
            await until(lambda: following.all == ("10.0.0.2:2",))
            await following.directory.stop()

    run(main())


def test_what_a_register_named_stays_known_while_it_is_away(run: Runner, hurry: None) -> None:
    async def main() -> None:
        register = ScriptedRegister(listing("10.0.0.1:1"))
        async with ScriptedRegister(listing("10.0.0.2:2")) as other:
            await register.start()
            following = Following(register, other)
            assert await following.directory.known(5)
            await register.stop()
            other.say(listing("10.0.0.3:3"))
            await until(lambda: following.all == ("10.0.0.1:1", "10.0.0.3:3"))
            register.answer = None
            await register.start()
            await until(lambda: register.writers)
            assert following.all == ("10.0.0.1:1", "10.0.0.3:3")
            register.say(listing("10.0.0.4:4"))
            await until(lambda: following.all == ("10.0.0.4:4", "10.0.0.3:3"))
            await following.directory.stop()
            await register.stop()

    run(main())


def test_a_gateway_that_one_register_has_seen_go_is_forgotten_for_one_that_is_away(run: Runner, hurry: None) -> None:
    async def main() -> None:
        away = ScriptedRegister(listing("10.0.0.1:1", "10.0.0.2:2", tidegate=["10.0.0.1:1", "10.0.0.2:2"]))
        async with ScriptedRegister(listing("10.0.0.1:1", "10.0.0.3:3")) as other:
            await away.start()
            following = Following(away, other)
            assert await following.directory.known(5)
            # While it is there, it knows best.
            other.say(listing("10.0.0.3:3"))
            other.say(listing("10.0.0.1:1", "10.0.0.3:3", "10.0.0.4:4"))
            await until(lambda: "10.0.0.4:4" in following.all)
            assert all("10.0.0.1:1" in addresses.all for addresses in following.said)
            await away.stop()
            await until(lambda: not following.directory._keepers[0].is_connected)
            other.say(listing("10.0.0.3:3"))
            expected = Addresses(("10.0.0.2:2", "10.0.0.3:3"), frozenset({"10.0.0.2:2"}))
            await until(lambda: following.directory.addresses == expected)
            away.answer = listing("10.0.0.1:1")
            await away.start()
            await until(lambda: following.all == ("10.0.0.1:1", "10.0.0.3:3"))
            await following.directory.stop()
            await away.stop()

    run(main())


def test_knowing_waits_for_every_register_and_is_content_with_one_when_the_time_is_over(run: Runner) -> None:
    async def main() -> None:
        async with ScriptedRegister() as one, ScriptedRegister(None) as silent:
            following = Following(one, silent)
            asking = asyncio.create_task(following.directory.known(0.2))
            await until(lambda: one.lines and silent.lines)
            await asyncio.sleep(0.05)
            assert not asking.done()
            assert await asking
            silent.say(listing())
            assert await following.directory.known(5)
            await following.directory.stop()
            nobody = Following(silent)
            assert not await nobody.directory.known(0.05)
            await nobody.directory.stop()

    run(main())


@pytest.mark.parametrize("line", [b'{"event":"hello"}\n', b'{"event":"broadcast_addresses"}\n', b"x" * 2_000_000])
def test_a_register_that_says_what_none_says_is_left_and_tried_again(
    run: Runner, hurry: None, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with ScriptedRegister(listing("10.0.0.1:1")) as register:
            following = Following(register)
            assert await following.directory.known(5)
            register.say(line)
            await until(lambda: register.accepted == 2 and len(register.lines) == 2)
            assert following.all == ("10.0.0.1:1",)
            await following.directory.stop()

    run(main())
    assert "it sent " in messages(caplog)[0]


def test_it_can_be_stopped_at_any_moment(run: Runner, hurry: None) -> None:
    async def main() -> None:
        port = free_port()
        async with ScriptedRegister() as register:
            for patience in range(10):
                parts: list[Any] = [Announcement([register.place, f"127.0.0.1:{port}"], ADDRESS, "") for _ in range(2)]
                parts.append(Directory([register.place], "", lambda _: None))
                for part in parts:
                    part.start()
                for _ in range(patience):
                    await asyncio.sleep(0)
                for part in parts:
                    await part.stop()
            never = Announcement([register.place], ADDRESS, "")
            await never.stop()

    run(main())


def test_a_register_that_does_not_read_does_not_keep_a_stop_waiting(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LEAVE_SECONDS", 0.05)

    async def main() -> None:
        async with ScriptedRegister() as register:
            announcement = announcing(register)
            assert await announcement.announced(5)
            (kept,) = announcement._keepers
            assert kept._link is not None
            await until(lambda: register.writers)
            register.writers[0].transport.pause_reading()  # type: ignore[attr-defined]
            kept._link.send(bytes(20_000_000))
            async with asyncio.timeout(5):
                await announcement.stop()
            register.writers[0].transport.abort()

    run(main())

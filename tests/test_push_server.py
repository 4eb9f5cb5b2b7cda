"""The push server, with clients made of nothing but sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients import Backend, Browser
from tidegate.errors import ConfigurationError
from tidegate.net import loops
from tidegate.process import context
from tidegate.push_server import Login, LoginError, make_token, parse_login, push_server, read_push
from tidegate.worker import Worker


@dataclass
class Server:
    """A push server in this process."""

    worker: Worker
    port: int
    inner: int
    clients: list[Browser | Backend]

    async def connect(self, *first_messages: str) -> Browser:
        browser = await Browser.connect(self.port, *first_messages)
        self.clients.append(browser)
        return browser

    async def browser(self, login: Any) -> Browser:
        """Connect, and wait until the login has been read."""
        before = self.worker.snapshot()["messages_in"]
        browser = await self.connect(login if isinstance(login, str) else json.dumps(login))
        await until(lambda: self.worker.snapshot()["messages_in"] > before)
        return browser

    async def backend(self) -> Backend:
        backend = await Backend.connect(self.inner)
        self.clients.append(backend)
        return backend


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Server]:
    app = push_server(**{"listen": "websocket://127.0.0.1:0", "inner": "text://127.0.0.1:0", **options})
    worker = app.members[0]
    assert isinstance(worker, Worker)
    await worker.listen()
    inner = next(door for door in context.current().running if door.name == "inner")
    assert worker.address is not None
    server = Server(worker, worker.address.port, inner.address.port, [])
    try:
        yield server
    finally:
        for client in server.clients:
            await client.close()
        await worker.stop(seconds=1)
        await inner.stop(seconds=1)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    loops.run(limited())


def test_a_push_reaches_the_uid_as_it_is() -> None:
    async def test() -> None:
        async with serving() as server:
            browser = await server.browser("uid1")
            backend = await server.backend()
            line = '{"uid":  "uid1",   "percent":"88%", "text": "\\u00e9 漢"}'
            assert await backend.push(line) == "ok"
            assert await browser.receive() == line

    run(test)


def test_a_uid_that_is_not_there_gets_fail() -> None:
    async def test() -> None:
        async with serving() as server:
            backend = await server.backend()
            assert await backend.push('{"uid": "nobody"}') == "fail"

    run(test)


def test_numbers_and_text_are_the_same_uid() -> None:
    async def test() -> None:
        async with serving() as server:
            browser = await server.browser({"uid": 42})
            backend = await server.backend()
            assert await backend.push('{"uid": "42"}') == "ok"
            assert await backend.push('{"uid": 42}') == "ok"
            assert await backend.push('{"uid": [42]}') == "ok"
            assert [await browser.receive() for _ in range(3)] == ['{"uid": "42"}', '{"uid": 42}', '{"uid": [42]}']

    run(test)


def test_a_list_reaches_each_uid_once_and_is_ok_when_one_is_there() -> None:
    async def test() -> None:
        async with serving() as server:
            one, two = await server.browser("u1"), await server.browser("u2")
            backend = await server.backend()
            line = '{"uid": ["u1", "u1", "u2", "nobody"]}'
            assert await backend.push(line) == "ok"
            assert await backend.push('{"uid": ["nobody"]}') == "fail"
            assert await backend.push('{"uid": []}') == "fail"
            assert await backend.push('{"last": 1}') == "ok"
            for browser in (one, two):
                assert await browser.receive() == line
                assert await browser.receive() == '{"last": 1}'

    run(test)


@pytest.mark.parametrize("line", ['{"m": 1}', '{"uid": null}', '{"uid": ""}'], ids=["absent", "null", "empty"])
def test_without_a_uid_the_line_goes_to_everybody_of_the_utype(line: str) -> None:
    async def test() -> None:
        async with serving() as server:
            one = await server.browser("u1")
            two = await server.browser({"uid": "u2", "utype": 0})
            other = await server.browser({"uid": "u3", "utype": 1})
            backend = await server.backend()
            assert await backend.push(line) == "ok"
            assert await one.receive() == line
            assert await two.receive() == line
            assert await backend.push('{"utype": "1", "n": 2}') == "ok"
            assert await other.receive() == '{"utype": "1", "n": 2}'
            assert await backend.push('{"utype": 7}') == "ok"

    run(test)


def test_the_same_uid_under_another_utype_is_another_user() -> None:
    async def test() -> None:
        async with serving() as server:
            zero = await server.browser({"uid": "u"})
            one = await server.browser({"uid": "u", "utype": 1})
            backend = await server.backend()
            assert await backend.push('{"uid": "u", "utype": 1}') == "ok"
            assert await backend.push('{"uid": "u"}') == "ok"
            assert await backend.push('{"uid": "u", "utype": 2}') == "fail"
            assert await one.receive() == '{"uid": "u", "utype": 1}'
            assert await zero.receive() == '{"uid": "u"}'

    run(test)


def test_each_connection_of_a_uid_gets_the_push_and_one_leaving_leaves_the_others() -> None:
    async def test() -> None:
        async with serving() as server:
            tabs = [await server.browser("u") for _ in range(3)]
            backend = await server.backend()
            await tabs[0].close()
            await until(lambda: len(server.worker.connections) == 2)
            assert await backend.push('{"uid": "u"}') == "ok"
            assert [await tab.receive() for tab in tabs[1:]] == ['{"uid": "u"}'] * 2
            await tabs[1].close()
            await tabs[2].close()
            await until(lambda: not server.worker.connections)
            assert await backend.push('{"uid": "u"}') == "fail"

    run(test)


@pytest.mark.parametrize(
    "line",
    ["no json", "[1]", "7", "", '"text"', '{"uid": true}', '{"uid": {}}', '{"utype": []}', "[" * 100_000, '{"uid": 1'],
    ids=["text", "list", "number", "empty", "string", "boolean", "object", "utype", "deep", "cut"],
)
def test_a_line_that_is_no_push_gets_fail_and_a_log_line_and_the_connection_stays(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with serving() as server:
            await server.browser("u")
            backend = await server.backend()
            assert await backend.push(line) == "fail"
            assert await backend.push('{"uid": "u"}') == "ok"

    run(test)
    assert "a line that is no push" in caplog.text


def test_a_line_that_is_not_utf8_gets_fail() -> None:
    async def test() -> None:
        async with serving() as server:
            backend = await server.backend()
            backend.write(b'{"uid": "\xff"}\n')
            assert await backend.read_line() == "fail"

    run(test)


def test_a_line_split_over_ten_packets_and_ten_lines_in_one() -> None:
    async def test() -> None:
        async with serving() as server:
            browser = await server.browser("u")
            backend = await server.backend()
            line = '{"uid": "u", "text": "0123456789"}'
            for start in range(0, len(line), 4):
                backend.write(line[start : start + 4])
                await backend.drain()
                await asyncio.sleep(0)
            assert await backend.push("") == "ok"
            backend.write("".join(f'{{"uid": "u", "n": {n}}}\r\n' for n in range(10)))
            assert [await backend.read_line() for _ in range(10)] == ["ok"] * 10
            assert await browser.receive() == line
            assert [json.loads(await browser.receive() or "")["n"] for _ in range(10)] == list(range(10))

    run(test)


def test_an_http_request_to_the_inner_port_pushes_nothing() -> None:
    async def test() -> None:
        async with serving() as server:
            await server.browser("u")
            attacker = await server.backend()
            attacker.write('POST / HTTP/1.1\r\nHost: x\r\n\r\n{"uid": "u"}\n')
            assert await attacker.read_line() == ""
            assert server.worker.snapshot()["messages_out"] == 0

    run(test)


@pytest.mark.parametrize("algorithm", ["hmac-sha256", "md5"])
def test_only_a_right_token_binds(algorithm: str) -> None:
    async def test() -> None:
        async with serving(token_secret="sjzxabc", token_algorithm=algorithm) as server:
            if algorithm == "md5":
                token = hashlib.md5(b"u11sjzxabc").hexdigest()
            else:
                token = hmac.new(b"sjzxabc", b"u1:1", "sha256").hexdigest()
            right = await server.browser({"uid": "u1", "utype": 1, "checkToken": token})
            backend = await server.backend()
            for wrong in (
                {"uid": "u1", "utype": 1},
                {"uid": "u1", "utype": 1, "checkToken": token[:-1]},
                {"uid": "u1", "utype": 1, "checkToken": "é"},
                {"uid": "u1", "utype": 1, "checkToken": True},
                {"uid": "u1", "utype": 2, "checkToken": token},
                {"uid": "u2", "utype": 1, "checkToken": token},
                "u1",
            ):
                browser = await server.browser(wrong)
                assert await browser.receive() is None
                assert browser.close_code == 1008
            assert await backend.push('{"uid": "u1"}') == "fail"
            assert await backend.push('{"uid": "u2", "utype": 1}') == "fail"
            assert await backend.push('{"uid": "u1", "utype": 1}') == "ok"
            assert await right.receive() == '{"uid": "u1", "utype": 1}'

    run(test)


def test_one_token_is_not_good_for_two_users() -> None:
    async def test() -> None:
        async with serving(token_secret="s") as server:
            token = make_token(Login("a:1", "2"), "s", "hmac-sha256")
            browser = await server.browser({"uid": "a", "utype": "1:2", "checkToken": token})
            assert await browser.receive() is None

    run(test)


def test_a_heartbeat_does_not_log_in_and_later_messages_change_nothing() -> None:
    async def test() -> None:
        async with serving() as server:
            browser = await server.browser({"data": "heartbeat"})
            browser.send('{"uid": "u1"}')
            browser.send('{"uid": "u2"}')
            browser.send("u3")
            await until(lambda: server.worker.snapshot()["messages_in"] == 4)
            backend = await server.backend()
            assert await backend.push('{"uid": ["u2", "u3", "heartbeat"]}') == "fail"
            assert await backend.push('{"uid": "u1"}') == "ok"
            assert await browser.receive() == '{"uid": "u1"}'

    run(test)


def test_a_silent_connection_is_closed_and_one_that_shows_life_is_not() -> None:
    async def test() -> None:
        async with serving(heartbeat=1) as server:
            silent, stranger = await server.browser("silent"), await server.connect()
            lively = await server.browser("lively")

            async def live() -> None:
                while True:
                    lively.send('{"data": "heartbeat"}')
                    await asyncio.sleep(0.2)

            living = asyncio.create_task(live())
            assert await silent.receive() is None
            assert await stranger.receive() is None
            backend = await server.backend()
            assert await backend.push('{"uid": "lively"}') == "ok"
            assert await lively.receive() == '{"uid": "lively"}'
            living.cancel()

    run(test)


def test_a_binary_first_message_is_closed_with_1003() -> None:
    async def test() -> None:
        async with serving() as server:
            browser = await server.connect()
            browser.send_binary(b"uid1")
            assert await browser.receive() is None
            assert browser.close_code == 1003

    run(test)


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("uid1", Login("uid1")),
        ("  uid1\n", Login("uid1")),
        ("123", Login("123")),
        ("[1]", Login("[1]")),
        ('{"uid": 1.0, "utype": 2}', Login("1", "2")),
        ('{"uid": "a", "utype": null, "checkToken": "t"}', Login("a", "0", "t")),
        ('{"data": "heartbeat", "uid": "a"}', None),
    ],
)
def test_what_a_first_message_says(text: str, login: Login | None) -> None:
    assert parse_login(text) == login


@pytest.mark.parametrize("text", ["", "   ", "{}", '{"uid": ""}', '{"uid": null}', '{"uid": [1]}', "x" * 257])
def test_a_first_message_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(LoginError):
        parse_login(text)


def test_a_push_says_whom_it_is_for() -> None:
    assert read_push('{"uid": ["a", 1, null, "a"], "utype": 3}') == ("3", ["a", "1"])
    assert read_push('{"uid": 0}') == ("0", ["0"])
    assert read_push("{}") == ("0", None)
    assert read_push(b"\xff") is None


def test_addresses_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--inner takes a text://"):
        push_server(inner="tcp://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="--listen takes"):
        push_server(listen="udp://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="--heartbeat"):
        push_server(heartbeat=-1)
    with pytest.raises(ConfigurationError, match="--page needs a websocket://"):
        push_server(listen="text://127.0.0.1:1", page="http://127.0.0.1:0")

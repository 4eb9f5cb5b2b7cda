"""The push server as several processes: what reaches one goes to all, and the answer is true of all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.clients import Backend, Browser
from tests.ports import free_port, free_ports
from tests.process.support import Foreground, Place, until
from tidegate.client.blocking import GatewayClient
from tidegate.errors import ClusterError
from tidegate.net import loops
from tidegate.push_cluster import cluster_uid
from tidegate.push_server import Login, make_token, push_server


class Server:
    """A `tidegate push-server --count 2`, and the clients of its processes."""

    def __init__(self, place: Place, *options: str) -> None:
        self.place = place
        self.port, self.inner, self.register, self.start_port = free_port(), free_port(), free_port(), free_ports(2)
        self.options = {
            "--listen": f"websocket://127.0.0.1:{self.port}",
            "--inner": f"text://127.0.0.1:{self.inner}",
            "--register": f"127.0.0.1:{self.register}",
            "--start-port": str(self.start_port),
        }
        self.app = self.start(*options)
        self.clients: list[Browser | Backend] = []
        self.app.ready()

    def start(self, *options: str) -> Foreground:
        ports = [part for option in self.options.items() for part in option]
        return self.place.launch(sys.executable, "-m", "tidegate", "push-server", "--count", "2", *ports, *options)

    def pids(self) -> list[int]:
        """Of the two processes, once both serve."""

        def both() -> list[int]:
            rows = [row for row in self.place.processes() if row["role"].startswith("push#")]
            return [row["pid"] for row in rows] if all(row["state"] == "running" for row in rows) else []

        return until(both)

    @contextlib.contextmanager
    def only(self, pid: int) -> Iterator[None]:
        """Have nobody but one process take connections."""
        others = [other for other in self.pids() if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    async def browser(self, pid: int, login: Any) -> Browser:
        """A browser that one process holds; it may not be logged in yet."""
        with self.only(pid):
            browser = await Browser.connect(self.port, login if isinstance(login, str) else json.dumps(login))
        self.clients.append(browser)
        return browser

    async def backend(self, pid: int) -> Backend:
        with self.only(pid):
            backend = await Backend.connect(self.inner)
            assert await backend.push("nonsense") == "fail"  # it has been taken
        self.clients.append(backend)
        return backend

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(40):
                try:
                    await test()
                finally:
                    for client in self.clients:
                        await client.close()
                    self.clients.clear()

        loops.run(limited())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("push"))
    server = Server(place)
    yield server
    server.app.press_ctrl_c()
    assert server.app.ends() == 0
    place.clear()


async def pushed(backend: Backend, line: str) -> None:
    """Push until it is taken: a login may be on its way."""
    while await backend.push(line) != "ok":
        await asyncio.sleep(0.01)


async def receive_until(browser: Browser, message: str) -> None:
    while (received := await browser.receive()) != message:
        assert received is not None, "it was closed before that came"


def test_a_push_by_way_of_any_process_reaches_the_user_in_any_and_nobody_else(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        browsers = {"one": await shared.browser(first, "one"), "two": await shared.browser(second, "two")}
        backends = [await shared.backend(first), await shared.backend(second)]
        for uid in browsers:
            await pushed(backends[0], f'{{"uid": "{uid}"}}')
        for number, backend in enumerate(backends):
            for uid in browsers:
                assert await backend.push(f'{{"uid": "{uid}", "n": {number}}}') == "ok"
            assert await backend.push('{"uid": "nobody"}') == "fail"
            assert await backend.push('{"uid": ["nobody", "two", "two"], "last": true}') == "ok"
        for uid, browser in browsers.items():
            await receive_until(browser, f'{{"uid": "{uid}"}}')
            for number in range(2):
                assert await browser.receive() == f'{{"uid": "{uid}", "n": {number}}}'
                if uid == "two":
                    assert "last" in (await browser.receive() or "")

    shared.run(test)


def test_a_user_with_pages_in_both_processes_gets_it_on_each_until_the_last_is_gone(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        tabs = [await shared.browser(pid, {"uid": 7, "utype": 3}) for pid in (first, second)]
        backend = await shared.backend(first)
        line = '{"uid": "7", "utype": "3"}'
        for tab in tabs:
            while True:  # until both are logged in
                await pushed(backend, line)
                with contextlib.suppress(TimeoutError):
                    assert await asyncio.wait_for(tab.receive(), 0.1) == line
                    break
        assert await backend.push('{"uid": 7}') == "fail"  # that is another user
        await tabs[0].close()
        await pushed(backend, '{"uid": 7, "utype": 3, "still": 1}')
        await receive_until(tabs[1], '{"uid": 7, "utype": 3, "still": 1}')
        await tabs[1].close()
        while await backend.push(line) != "fail":
            await asyncio.sleep(0.01)

    shared.run(test)


def test_everybody_of_a_utype_is_in_all_processes(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        here = [await shared.browser(pid, {"uid": f"e{pid}", "utype": "all"}) for pid in (first, second)]
        other = await shared.browser(first, {"uid": "other", "utype": "none"})
        backend = await shared.backend(second)
        for uid in (f"e{first}", f"e{second}"):
            await pushed(backend, f'{{"uid": "{uid}", "utype": "all"}}')
        await pushed(backend, '{"uid": "other", "utype": "none"}')
        assert await backend.push('{"utype": "all", "text": "漢"}') == "ok"
        assert await backend.push('{"utype": "none"}') == "ok"
        for browser in here:
            await receive_until(browser, '{"utype": "all", "text": "漢"}')
        assert await other.receive() == '{"uid": "other", "utype": "none"}'
        assert await other.receive() == '{"utype": "none"}'

    shared.run(test)


def test_lines_sent_at_once_are_pushed_and_answered_in_their_order(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        browser = await shared.browser(first, "ordered")
        backend = await shared.backend(second)
        await pushed(backend, '{"uid": "ordered"}')
        lines = [f'{{"uid": "{"ordered" if n % 3 else "nobody"}", "n": {n}}}' for n in range(300)]
        backend.write("".join(line + "\n" for line in lines))
        assert [await backend.read_line() for _ in lines] == ["ok" if n % 3 else "fail" for n in range(300)]
        await receive_until(browser, '{"uid": "ordered"}')
        assert [await browser.receive() for _ in range(200)] == [line for line in lines if "ordered" in line]

    shared.run(test)


def test_lines_that_are_no_push_and_names_of_any_text(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        names = ["漢", "0", "a:b", "%3A", 'q"\\/', "x" * 256]
        for name in names:
            await shared.browser(first, {"uid": name, "utype": name})
        half = await shared.browser(first, '{"uid": "\\ud800"}')
        backend = await shared.backend(second)
        for name in names:
            await pushed(backend, json.dumps({"uid": name, "utype": name}))
        for line in ("[1]", '{"uid": {}}', '{"uid": "\\ud800"}', '{"uid": []}'):
            assert await backend.push(line) == "fail"
        assert await half.receive() is None
        assert half.close_code == 1008

    shared.run(test)


def test_a_process_that_stands_still_delays_only_what_depends_on_it(shared: Server) -> None:
    async def test() -> None:
        first = shared.pids()[0]
        await shared.browser(first, "awake")
        backend = await shared.backend(first)
        await pushed(backend, '{"uid": "awake"}')
        with shared.only(first):
            assert await asyncio.wait_for(backend.push('{"uid": "awake"}'), 3) == "ok"
            answer = asyncio.create_task(backend.push('{"uid": "nobody"}'))
            await asyncio.sleep(0.2)
            assert not answer.done()  # it may be there
        assert await answer == "fail"

    shared.run(test)


def test_push_clients_of_the_cluster_reach_its_users(shared: Server) -> None:
    async def test() -> None:
        first, second = shared.pids()
        browsers = [await shared.browser(pid, f"via{pid}") for pid in (first, second)]
        backend = await shared.backend(first)
        for pid in (first, second):
            await pushed(backend, f'{{"uid": "via{pid}"}}')
        done = await asyncio.to_thread(
            shared.place.do, "send", "uid", f"0:via{first}", "hello", "--cluster", f"127.0.0.1:{shared.register}"
        )
        assert done == "sent to 1 client\n"
        await receive_until(browsers[0], "hello")

        def send_to_group() -> None:
            with GatewayClient(f"127.0.0.1:{shared.register}") as client:
                client.send_to_group("0", "to all")

        await asyncio.to_thread(send_to_group)
        for browser in browsers:
            await receive_until(browser, "to all")

    shared.run(test)


def test_when_a_process_is_killed_the_others_go_on_and_its_users_connect_again(place: Place) -> None:
    server = Server(place)

    async def test() -> None:
        first, second = server.pids()
        stays = await server.browser(second, "stays")
        leaves = await server.browser(first, "leaves")
        backend = await server.backend(second)
        await pushed(backend, '{"uid": "stays"}')
        await pushed(backend, '{"uid": "leaves"}')
        await receive_until(leaves, '{"uid": "leaves"}')  # "ok" is said a moment before it is written
        os.kill(first, signal.SIGKILL)
        assert await backend.push('{"uid": "stays", "n": 1}') == "ok"
        assert await leaves.receive() is None
        assert await backend.push('{"uid": "leaves"}') == "fail"
        await receive_until(stays, '{"uid": "stays", "n": 1}')
        until(lambda: first not in place.pids())
        again = await server.browser(server.pids()[0], "leaves")
        await pushed(backend, '{"uid": "leaves", "n": 2}')
        assert await again.receive() == '{"uid": "leaves", "n": 2}'

    server.run(test)
    server.app.press_ctrl_c()
    assert server.app.ends() == 0


def test_tokens_silence_and_a_secret_of_the_cluster(place: Place) -> None:
    place.environment["TIDEGATE_SECRET_KEY"] = "s3cret"
    server = Server(place, "--token-secret", "s", "--heartbeat", "1")

    async def test() -> None:
        first, second = server.pids()
        token = make_token(Login("u1", "1"), "s", "hmac-sha256")
        right = await server.browser(first, {"uid": "u1", "utype": 1, "checkToken": token})
        wrong = await server.browser(second, {"uid": "u2", "utype": 1, "checkToken": token})
        backend = await server.backend(second)
        assert await wrong.receive() is None
        assert wrong.close_code == 1008
        await pushed(backend, '{"uid": "u1", "utype": 1}')
        assert await right.receive() == '{"uid": "u1", "utype": 1}'
        assert await right.receive() is None  # it said nothing more
        assert right.close_code == 1008
        assert await backend.push('{"uid": "u1", "utype": 1}') == "fail"

        def ask(secret_key: str) -> int:
            with GatewayClient(f"127.0.0.1:{server.register}", secret_key=secret_key) as client:
                return client.get_all_client_count()

        assert await asyncio.to_thread(ask, "s3cret") == 0
        with pytest.raises(ClusterError):
            await asyncio.to_thread(ask, "")

    server.run(test)


@pytest.mark.parametrize("taken", ["--register", "--start-port", "--inner"])
def test_a_port_of_the_cluster_that_is_in_use_is_one_line(place: Place, taken: str) -> None:
    ports = {"--listen": free_port(), "--inner": free_port(), "--register": free_port(), "--start-port": free_ports(2)}
    forms = {"--listen": "websocket://127.0.0.1:%d", "--inner": "text://127.0.0.1:%d", "--register": "127.0.0.1:%d"}
    options = [part for name, port in ports.items() for part in (name, forms.get(name, "%d") % port)]
    with socket.create_server(("127.0.0.1", ports[taken])):
        done = place.run("push-server", "--count", "2", *options)
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if " WARNING push#" not in line]  # that Register has gone
    assert len(lines) == 1, done.stderr
    assert f"127.0.0.1:{ports[taken]}: it is in use" in lines[0]


def test_no_two_users_have_the_same_name_in_the_cluster() -> None:
    users = [("0", "u"), ("0", "1:u"), ("0:1", "u"), ("0%3A1", "u"), ("0%253A1", "u"), ("", ":u"), (":", "u")]
    names = [cluster_uid(*user) for user in users]
    assert names[0] == "0:u"
    assert len(set(names)) == len(users)


def test_the_app_of_one_process_needs_no_register() -> None:
    assert [type(member).__name__ for member in push_server().members] == ["Worker"]
    assert [type(member).__name__ for member in push_server(count=2).members] == ["PushGateway", "Register"]

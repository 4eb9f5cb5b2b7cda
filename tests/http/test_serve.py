"""The HTTP door of a BusinessWorker: in whole clusters started by the command line, and beside scripted gateways."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.business.support import ScriptedGateway, cluster, running
from tests.certificates import make_pair
from tests.http.support import CLIENT, TOKEN, ask, post, query
from tests.net.support import Runner, until
from tests.ports import free_port
from tests.process.support import Place
from tests.whole.support import Cluster, browsers, in_time
from tidegate import BusinessWorker
from tidegate.business import remote
from tidegate.errors import AddressError, ConfigurationError
from tidegate.wire import commands

CODE = """
@business.on_worker_start
def start(worker):
    pass

business.serve_http("http://127.0.0.1:{port}", token={token!r})

@business.on_connect
def greet(client):
    client.send(client.id)

@business.on_message
def receive(client, message):
    client.send(str(client.session.get("colour")))
"""
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def port() -> int:
    """Of the door of `whole`."""
    return free_port()


@pytest.fixture(scope="module")
def whole(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two processes of a worker, which serves the door."""
    place = Place(tmp_path_factory.mktemp("whole"))
    try:
        yield Cluster(place, CODE.format(port=port, token=TOKEN), count=1)
    finally:
        place.clear()


def test_every_process_of_a_worker_answers_at_one_port(whole: Cluster, port: int) -> None:
    async def main() -> None:
        async with browsers(whole, 2) as (kim, lee):
            ids = [await client.read_text() for client in (kim, lee)]
            assert (await ask(port, "/?method=sendToAll&args[]=hello", headers=HEADERS)).text == "ok"
            assert [await client.read_text() for client in (kim, lee)] == ["hello", "hello"]
            assert (await ask(port, "/?method=sendToAll&args[]=hello")).status == 401

            assert (await post(port, "bind_uid", HEADERS, client_id=ids[0], uid="kim")).status == 200
            joins = query("joinGroup", ("args[]", ids[1]), ("args[]", "room"))
            assert (await ask(port, joins, headers=HEADERS)).text == "ok"
            for _ in range(2):  # whichever process has carried them out
                assert (await post(port, "flush", HEADERS)).status == 200
            assert (await post(port, "get_client_id_by_uid", HEADERS, uid="kim")).json == {"result": [ids[0]]}
            assert (await ask(port, "/?method=getClientCountByGroup&args[]=room", headers=HEADERS)).json == 1
            await post(port, "send_to_uid", HEADERS, uid_or_list=["kim", 7], message="to kim")
            assert await kim.read_text() == "to kim"
            await post(port, "update_session", HEADERS, client_id=ids[1], session={"colour": "red"})
            for _ in range(2):
                await post(port, "flush", HEADERS)
            assert (await post(port, "get_session", HEADERS, client_id=ids[1])).json == {"result": {"colour": "red"}}
            await post(port, "send_to_client", HEADERS, client_id=ids[0], message={"base64": "/w=="})
            assert await kim.read_frame() == (0x82, b"\xff")

    in_time(main())
    listen = [row["listen"] for row in whole.place.processes() if row["role"].startswith("business#")]
    assert listen == [[f"http://127.0.0.1:{port}"]] * 2


def test_the_port_answers_while_workers_are_reloaded_and_killed(whole: Cluster, port: int) -> None:
    outcomes: list[str] = []
    over = threading.Event()

    async def go_on() -> None:
        while not over.is_set():
            try:
                outcomes.append((await ask(port, "/?method=getAllClientCount", headers=HEADERS)).text or "cut")
            except (ConnectionResetError, IndexError, ValueError):  # it was taken by the process that was killed
                outcomes.append("cut")

    thread = threading.Thread(target=lambda: asyncio.run(go_on()))
    thread.start()
    try:
        before = whole.pids("business")
        whole.place.command("reload")
        assert set(whole.pids("business")).isdisjoint(before)
        for pid in whole.pids("business"):
            os.kill(pid, signal.SIGKILL)
        whole.until_whole()
    finally:
        over.set()
        thread.join(20)
    assert set(outcomes) <= {"0", "cut"}
    assert outcomes.count("cut") <= 4
    assert outcomes.count("0") > 10


@pytest.mark.parametrize("address", ["http://0.0.0.0:8585", "http://:8585", "http://[::]:8585", "http://10.0.0.1:8585"])
def test_without_a_token_an_address_that_others_reach_is_refused(address: str) -> None:
    worker = BusinessWorker()
    with pytest.raises(ConfigurationError, match="needs a token="):
        worker.serve_http(address)
    worker.serve_http(address, token=TOKEN)


def test_an_app_that_would_be_open_to_others_does_not_start(place: Place) -> None:
    whole = Cluster(place)
    whole.write('business.serve_http("http://0.0.0.0:8585")')
    done = place.run("start", "app.py")
    assert done.returncode == 1
    assert "serve_http on http://0.0.0.0:8585 needs a token=" in done.stderr


def test_only_http_addresses_and_tokens_that_are_some_are_taken() -> None:
    worker = BusinessWorker()
    for address, token in (("tcp://127.0.0.1:8585", None), ("127.0.0.1:8585", None), ("http://127.0.0.1:8585", "")):
        with pytest.raises(ConfigurationError):
            worker.serve_http(address, token=token)


def test_a_door_may_be_opened_in_on_worker_start_and_not_later(run: Runner) -> None:
    async def main() -> None:
        port = free_port()
        async with cluster(ScriptedGateway()) as register:
            worker = BusinessWorker(cluster=register.place)

            @worker.on_worker_start
            def start(worker: BusinessWorker) -> None:
                worker.serve_http(f"http://localhost:{port}")

            for _ in range(2):  # a worker may be started again
                async with running(worker):
                    assert (await ask(port, "/?method=sendToAll&args[]=hello")).text == "ok"
                    with pytest.raises(RuntimeError, match="serves already"):
                        worker.serve_http("http://127.0.0.1:0")
                with socket.socket() as sock:
                    assert sock.connect_ex(("127.0.0.1", port)) != 0

    run(main())


def test_commands_leave_by_the_workers_own_links(run: Runner) -> None:
    async def main() -> None:
        port = free_port()
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            worker = BusinessWorker(cluster=register.place)
            worker.serve_http(f"http://127.0.0.1:{port}")
            async with running(worker):
                link = await gateway.link()
                assert (await post(port, "send_to_all", message="hello")).status == 200
                assert (await link.next(commands.SEND_TO_ALL))[4] == b"hello"
                assert (await post(port, "is_online", client_id=gateway.client_id(1))).json == {"result": False}

    run(main())


def test_it_may_speak_tls(run: Runner, tmp_path: Path) -> None:
    certificate, key = make_pair(tmp_path, "door")
    trusting = ssl.create_default_context(cafile=certificate)

    def ask_securely(port: int) -> int:
        request = urllib.request.Request(
            f"https://localhost:{port}/api/send_to_all",
            b'{"message": "hello"}',
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10, context=trusting) as answer:
            return int(answer.status)

    async def main() -> None:
        port = free_port()
        async with cluster(ScriptedGateway()) as register:
            worker = BusinessWorker(cluster=register.place)
            worker.serve_http(f"http://127.0.0.1:{port}", token=TOKEN, ssl=(certificate, key))
            async with running(worker):
                assert await asyncio.to_thread(ask_securely, port) == 200

    with pytest.raises(ConfigurationError, match="there is no file"):
        BusinessWorker().serve_http("http://127.0.0.1:1", ssl=(certificate, "nowhere.key"))
    run(main())


def test_where_no_gateway_takes_it_the_answer_says_so(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "HELD_SECONDS", 0.1)

    async def main() -> None:
        port = free_port()
        gateway = ScriptedGateway()
        async with cluster(gateway) as register:
            worker = BusinessWorker(cluster=register.place)
            worker.serve_http(f"http://127.0.0.1:{port}")
            async with running(worker):
                assert (await post(port, "send_to_client", client_id=CLIENT, message="hi")).status == 404
                link = await gateway.link()
                await gateway.stop()
                await until(lambda: not link.is_open)
                await until(lambda: worker._here.gateways.all[0].link is None)
                answers = await asyncio.gather(  # at once, since commands are held for a link for a while
                    post(port, "send_to_all", message="hello"),
                    post(port, "set_session", client_id=gateway.client_id(1), session={}),
                    post(port, "is_uid_online", uid=7),
                    post(port, "close_uid", uid=7),
                    ask(port, "/?method=sendToAll&args[]=hello"),
                )
                assert [answer.status for answer in answers] == [503, 503, 503, 503, 200]
                assert answers[-1].text == "fail"

    run(main())


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(run: Runner) -> None:
    async def main() -> None:
        async with cluster(ScriptedGateway()) as register:
            worker = BusinessWorker(cluster=register.place)
            with socket.create_server(("127.0.0.1", 0)) as taken:
                port = taken.getsockname()[1]
                worker.serve_http(f"http://127.0.0.1:{port}")
                with pytest.raises(AddressError):
                    await worker.listen()
            async with running(worker):
                assert (await ask(port, "/?method=sendToAll&args[]=hello")).text == "ok"

    run(main())

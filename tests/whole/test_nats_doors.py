"""Each way to push leads over NATS: threads, processes that fork, HTTP, the shell, Django."""

from __future__ import annotations

import asyncio
import json
import sys

from click.testing import CliRunner
from django.test import override_settings

import tests.contrib.conftest  # noqa: F401 - which sets up Django
from tests.cluster.nats.server import NatsServer
from tests.http.support import ask
from tests.ports import free_port
from tests.whole.members import END, heard, in_loop, on_nats
from tidegate import BusinessWorker, cli
from tidegate.contrib.django import apush, push

FORKING = """
import os, sys, threading
from tidegate import GatewayClient

client = GatewayClient(sys.argv[1])

def use(name):
    for number in range(20):
        client.send_to_group("g", f"{name} {number}")
        assert client.get_client_count_by_group("g") == 1
    client.flush()

use("before")
beside = [threading.Thread(target=use, args=(f"thread{each}",)) for each in range(3)]
for thread in beside:
    thread.start()
children = []
for each in range(3):
    if not (child := os.fork()):
        use(f"child{each}")
        client.close()
        os._exit(0)
    children.append(child)
for thread in beside:
    thread.join()
use("after")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


def test_threads_and_children_push_with_one_client(nats: NatsServer) -> None:
    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, _ = [await cluster.gateway() for _ in range(2)]
            id, client = await member.connect()
            own = cluster.client()
            await own.join_group(id, "g")
            await own.flush()
            program = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", FORKING, cluster.url)
            assert await program.wait() == 0
            await own.send_to_client(id, END)
            said = await heard(client)
            names = {"before", "after", *(f"{kind}{each}" for kind in ("thread", "child") for each in range(3))}
            by_name = {name: [each.split()[1] for each in said if each.split()[0] == name] for name in names}
            numbers = [str(number) for number in range(20)]
            assert all(came == numbers for came in by_name.values()), by_name

    in_loop(test())


def test_http_a_shell_and_django_push_too(nats: NatsServer) -> None:
    port = free_port()

    def serves(worker: BusinessWorker) -> None:
        worker.serve_http(f"http://127.0.0.1:{port}")

    async def test() -> None:
        async with on_nats(nats) as cluster:
            member, _ = [await cluster.gateway() for _ in range(2)]
            await cluster.worker(set_up=serves)
            id, client = await member.connect()
            body = json.dumps({"client_id": id, "uid": "kim"}).encode()
            assert (await ask(port, "/api/bind_uid", "POST", body)).json == {"result": None}
            body = json.dumps({"uid_or_list": "kim", "message": "by HTTP"}).encode()
            assert (await ask(port, "/api/send_to_uid", "POST", body)).json == {"result": None}
            assert (await ask(port, "/?method=isUidOnline&args[]=kim")).json is True
            arguments = ["send", "uid", "kim", "from a shell", "--cluster", cluster.url]
            shell = await asyncio.to_thread(CliRunner().invoke, cli.main, arguments)
            assert (shell.exit_code, shell.output) == (0, "sent to 1 client\n")
            with override_settings(TIDEGATE={"CLUSTER": cluster.url}):
                await asyncio.to_thread(push.send_to_uid, "kim", "from Django")
                await asyncio.to_thread(push.flush)
                await apush.send_to_uid("kim", "and its loop")
                await apush.send_to_client(id, END)
                assert await heard(client) == ["by HTTP", "from a shell", "from Django", "and its loop"]
                push.reset()

    in_loop(test())
    apush.reset()

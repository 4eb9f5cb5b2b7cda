"""docs/shell.md: its commands, run by a shell against a cluster with its doors."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.support import DOCS, blocks, files, importable, run
from tidegate import BusinessWorker
from tidegate.push_server import push_server
from tidegate.testing import cluster
from tidegate.testing.running import Cluster

PAGE = DOCS / "shell.md"
INSTALLED = "/srv/app/.venv/bin/tidegate"

# netcat as far as the page uses it: what comes is sent, and what is answered until it is quiet is shown.
NC = """
import socket, sys
with socket.create_connection((sys.argv[-2], int(sys.argv[-1])), 10) as server:
    server.sendall(sys.stdin.buffer.read())
    server.settimeout(0.2)
    try:
        while data := server.recv(8192):
            sys.stdout.buffer.write(data)
    except TimeoutError:
        pass
"""
# curl as far as the page uses it.
CURL = """
import sys, urllib.error, urllib.request
url, option, body = sys.argv[-3:]
assert option == "--json"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    answer = opener.open(urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"}), timeout=10)
except urllib.error.HTTPError as error:
    sys.exit(22 if "--fail-with-body" in sys.argv else 0)
print(answer.read().decode())
"""


class Shell:
    """Runs commands of the page, with other ports, and programs that are there for certain."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.replaced = {INSTALLED: "tidegate"}
        (folder / "bin").mkdir()
        self._program("tidegate", f'exec {shlex.quote(sys.executable)} -m tidegate "$@"')
        self._program("tail", 'exec cat "$2"')
        for name, code in (("nc", NC), ("curl", CURL)):
            (folder / f"{name}.py").write_text(code)
            self._program(name, f'exec {shlex.quote(sys.executable)} -IS {shlex.quote(str(folder / name))}.py "$@"')

    def _program(self, name: str, command: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{command}\n")
        path.chmod(0o755)

    def use(self, c: Cluster) -> None:
        self.environment["TIDEGATE_CLUSTER"] = c.address

    def listens(self, port: int, address: str) -> None:
        """What the page has at a port is here."""
        self.replaced[f" {port}"] = f" {urlsplit(address).port}"
        self.replaced[f"/{port}"] = f"/{urlsplit(address).port}"
        self.replaced[f":{port}"] = f":{urlsplit(address).port}"

    async def run(self, command: str, shell: str = "sh") -> tuple[int, str]:
        """Gives the exit code, and what it has printed."""
        for old, new in self.replaced.items():
            command = command.replace(old, new)
        process = await asyncio.create_subprocess_exec(
            shell, "-ec", command, cwd=self.folder, env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()


def commands(program: str) -> list[str]:
    return [line for block in blocks(PAGE, "sh") for line in block.splitlines() if program in line]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_tidegate_send_says_what_happened(shell: Shell) -> None:
    to_uid, with_else, to_group = commands("tidegate send")

    async def test() -> None:
        async with cluster() as c, await c.connect() as page:
            shell.use(c)
            await c.push.bind_uid(page.client_id, 42)
            await c.push.join_group(page.client_id, "ops")
            await c.push.flush()
            done = await asyncio.gather(*(shell.run(command) for command in (to_uid, with_else, to_group)))
            assert done[1:] == [(0, "send an e-mail\n"), (0, "sent to 1 client\n")]
            assert done[0] == (0, "sent to 1 client\n")
            messages = {await page.receive() for _ in range(2)}
            assert "the backup is done" in messages
            assert any("Filesystem" in str(message) for message in messages)

    run(test)


def test_cron_and_systemd_run_the_same_command(shell: Shell) -> None:
    (crontab,) = blocks(PAGE, "cron")
    assert set(re.findall(r"^(\w+)=", crontab, re.M)) == {"TIDEGATE_CLUSTER", "TIDEGATE_SECRET_KEY"}
    ((when, job),) = re.findall(r"^((?:[\d*,/-]+ ){5})(.*)$", crontab, re.M)
    assert when == "55 17 * * 1-5 "
    units = files(PAGE, "ini")
    service, timer = (configparser.ConfigParser() for _ in range(2))
    service.read_string(units["announce.service"])
    timer.read_string(units["announce.timer"])
    assert job == f"{service['Service']['ExecStart']} >/dev/null"
    assert timer["Timer"]["OnCalendar"] == "Mon..Fri 17:55"

    async def test() -> None:
        async with cluster() as c, await c.connect() as page:
            shell.use(c)
            assert await shell.run(job) == (0, "")
            assert await page.receive() == "the shop closes in five minutes"

    run(test)


def test_the_push_server_is_reached_by_nc_and_by_bash(shell: Shell) -> None:
    (by_nc,) = commands("5678")
    (by_bash,) = blocks(PAGE, "bash")

    async def test() -> None:
        async with cluster(push_server(heartbeat=0, count=2)) as c, await c.connect() as page:
            shell.listens(5678, c.addresses["inner"])
            assert await shell.run(by_nc) == (0, "fail\n")
            await page.send("uid1")
            await c.settle()
            assert await shell.run(by_nc) == (0, "ok\n")
            assert await shell.run(by_bash, "bash") == (0, "")
            messages = [await page.receive_json() for _ in range(2)]
            assert messages == [{"uid": "uid1", "percent": percent} for percent in ("88%", "89%")]

    run(test)


def test_a_door_of_ones_own_takes_lines(shell: Shell, tmp_path: Path) -> None:
    line, log = commands("7273")

    async def test() -> None:
        with importable(PAGE, tmp_path, {"!= 7273": "!= inner.address.port"}) as module:
            async with cluster(module("app").app) as c, await c.connect() as page:
                shell.listens(7273, c.addresses["inner"])
                assert await shell.run(line) == (0, "fail\n")
                await c.push.bind_uid(page.client_id, 42)
                await c.push.flush()
                await page.send("42 from a browser")
                assert await shell.run(line) == (0, "ok\n")
                (tmp_path / "jobs.log").write_text("begun\ndone\n")
                assert await shell.run(log) == (0, "ok\nok\n")
                assert [await page.receive() for _ in range(3)] == ["the backup is done", "begun", "done"]

    run(test)


def test_curl_reaches_the_http_door(shell: Shell) -> None:
    business = BusinessWorker()
    business.serve_http("http://127.0.0.1:8585")
    (command,) = commands("curl")

    async def test() -> None:
        async with cluster(business) as c, await c.connect() as page:
            await c.push.bind_uid(page.client_id, 42)
            await c.push.flush()
            shell.listens(8585, c.addresses["http-8585"])
            assert await shell.run(command) == (0, '{"result": null}\n')
            assert await page.receive() == "the backup is done"
            assert (await shell.run(command.replace("send_to_uid", "no_such_method")))[0] == 22

    run(test)

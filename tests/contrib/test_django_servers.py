"""A Django site under the servers that sites have."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contrib.support import environment, make_site, served
from tests.net.support import until
from tidegate import Gateway
from tidegate.testing import NoMessageError, cluster

SECRET = "s3cret"
GUNICORN = ("-m", "gunicorn", "eager", "--bind", "127.0.0.1:PORT", "--workers", "2", "--graceful-timeout", "2")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    make_site(tmp_path)
    return tmp_path


@pytest.mark.parametrize("how", [("--preload",), ("--threads", "2")], ids=" ".join)
def test_every_gunicorn_worker_pushes_and_nothing_is_sent_twice(site: Path, how: tuple[str, ...]) -> None:
    def talk(env: dict[str, str], client_id: str) -> int:
        """Push until several workers have, as the system hands out connections; gives the number of messages."""
        with served(site, env, *GUNICORN, *how) as django, ThreadPoolExecutor(16) as pool:
            django.ask("/bind", client_id=client_id)
            pids: set[str] = set()
            count = 0
            while len(pids) < 2 and count < 4000:
                batch = range(count, count + 50)
                pids |= set(pool.map(lambda number: django.ask("/said", to="42", text=str(number)), batch))
                count = batch.stop
            assert len(pids) > 1
            assert str(django.process.pid) not in pids
            for _ in range(5):
                assert json.loads(django.ask("/online")) == {"online": 1}
            return count

    async def main() -> None:
        gateway = Gateway("websocket://127.0.0.1:0")
        async with cluster(gateway, secret_key=SECRET) as c, await c.connect() as page:
            count = await asyncio.to_thread(talk, environment(c.address, SECRET), page.client_id)
            numbers: list[str] = []
            with contextlib.suppress(NoMessageError):
                while message := str(await page.receive(5 if len(numbers) < count else 0.1)):
                    numbers += [message] if message.isdigit() else []
            assert sorted(numbers) == sorted(map(str, range(count)))
            # Also the connections of loops that lived for one request are gone.
            await until(lambda: gateway.snapshot()["extra"]["push_clients"] == 0)

    asyncio.run(asyncio.wait_for(main(), 50))


def test_runserver_pushes_after_each_reload(site: Path) -> None:
    async def main() -> None:
        async with cluster(secret_key=SECRET) as c, await c.connect() as page:
            await c.push.bind_uid(page.client_id, "42")

            def talk() -> None:
                command = ("manage.py", "runserver", "127.0.0.1:PORT", "--skip-checks")
                with served(site, environment(c.address, SECRET), *command) as django:
                    django.ask("/said", to="42", text="before")
                    django.reload(site / "views.py")
                    django.ask("/said", to="42", text="after")

            await asyncio.to_thread(talk)
            assert [await page.receive(), await page.receive()] == ["before", "after"]

    asyncio.run(asyncio.wait_for(main(), 50))


def test_the_test_on_the_page_passes(site: Path) -> None:
    env = {**environment("127.0.0.1:1", ""), "DJANGO_SETTINGS_MODULE": "settings"}
    command = [sys.executable, "-W", "error", "manage.py", "test", "test_views"]
    done = subprocess.run(command, cwd=site, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn forks")
def test_a_child_of_a_process_that_has_pushed_pushes_by_itself(site: Path) -> None:
    code = """
import os, sys, eager
from tidegate.contrib.django import push
children = []
for number in range(4):
    pid = os.fork()
    if not pid:
        for _ in range(25):
            push.send_to_all(f"{number}")
        push.flush()
        os._exit(0)
    children.append(pid)
sys.exit(max(os.waitpid(pid, 0)[1] for pid in children))
"""

    async def main() -> None:
        async with cluster(secret_key=SECRET) as c, await c.connect() as page:
            env = environment(c.address, SECRET)
            done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], cwd=site, env=env, timeout=50)
            assert done.returncode == 0
            assert str(await page.receive()).startswith("loaded")
            numbers = [await page.receive() for _ in range(100)]
            assert sorted(map(str, numbers)) == sorted("0123" * 25)
            await page.expect_silence(0.01)

    asyncio.run(main())

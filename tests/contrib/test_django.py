"""The push clients for Django, in a process that has Django."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tests.net.support import until
from tidegate import Gateway
from tidegate.contrib.django import apush, push
from tidegate.errors import ClusterError
from tidegate.testing import cluster

NOWHERE = {"CLUSTER": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def without_clients() -> Iterator[None]:
    yield
    push.reset()
    apush.reset()


def push_clients(gateway: Gateway) -> int:
    return int(gateway.snapshot()["extra"]["push_clients"])


def test_both_push_as_the_settings_say() -> None:
    async def main() -> None:
        async with cluster(secret_key="s3cret") as c, await c.connect() as page:
            with override_settings(TIDEGATE={"CLUSTER": c.address, "SECRET_KEY": "s3cret", "TIMEOUT": 4}):
                await asyncio.to_thread(push.bind_uid, page.client_id, 42)
                await asyncio.to_thread(push.flush)
                await apush.send_to_uid(42, "mail")
                await apush.flush()
                assert await page.receive() == "mail"
                assert await asyncio.to_thread(push.get_all_client_count) == await apush.get_all_client_count() == 1
                await apush.close_uid(42, "bye")
                assert await page.receive() == "bye"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("127.0.0.1:1236", r"settings\.TIDEGATE is of type str: it takes a dict such as {'CLUSTER'"),
        (
            {"CLUSTER": "a:1", "SECRET": "s"},
            "has no 'SECRET': it takes CLUSTER, SECRET_KEY, CLUSTER_SSL, CONNECT_TIMEOUT, TIMEOUT",
        ),
        ({"CLUSTER": "ws://127.0.0.1:1236"}, "can't be used: the Register 'ws://127.0.0.1:1236' has a protocol"),
        ({"CLUSTER": 1236}, "can't be used"),
        ({"TIMEOUT": "5"}, "can't be used: timeout is '5'"),
    ],
)
def test_a_setting_that_is_wrong_is_improperly_configured(setting: Any, message: str) -> None:
    with override_settings(TIDEGATE=setting):
        with pytest.raises(ImproperlyConfigured, match=message):
            push.send_to_all("x")
        with pytest.raises(ImproperlyConfigured, match=message):
            asyncio.run(_send_to_all())


async def _send_to_all() -> None:
    await apush.send_to_all("x")


def test_without_a_setting_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_CLUSTER", "127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1"):
        push.is_uid_online(1)


def test_a_process_has_one_client_for_all_threads() -> None:
    async def main() -> None:
        gateway = Gateway("websocket://127.0.0.1:0")
        async with cluster(gateway) as c:
            with override_settings(TIDEGATE={"CLUSTER": c.address}):
                start = threading.Barrier(8)

                def work() -> int:
                    start.wait(10)
                    return sum(push.get_all_client_count() for _ in range(10))

                await asyncio.gather(*(asyncio.to_thread(work) for _ in range(8)))
                assert push_clients(gateway) == 1

    async def limited() -> None:
        asyncio.get_running_loop().set_default_executor(_pool(8))
        await asyncio.wait_for(main(), 20)

    asyncio.run(limited())


def _pool(threads: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_loop_that_ends_closes_its_connections(run: Any) -> None:
    def other() -> None:
        async def ask() -> None:
            assert await asyncio.gather(*(apush.get_all_client_count() for _ in range(3))) == [0] * 3

        run(ask())
        async_to_sync(ask)()

    async def main() -> None:
        gateway = Gateway("websocket://127.0.0.1:0")
        async with cluster(gateway) as c:
            with override_settings(TIDEGATE={"CLUSTER": c.address}):
                await apush.send_to_all("x")
                await apush.flush()
                await asyncio.to_thread(other)
                await until(lambda: push_clients(gateway) == 1)
                assert len(apush._made) == 1

    run(main())
    assert not apush._made


def test_a_loop_that_was_closed_by_hand_is_forgotten() -> None:
    loop = asyncio.new_event_loop()
    with override_settings(TIDEGATE=NOWHERE):
        with pytest.raises(ClusterError):
            loop.run_until_complete(_send_to_all())
        loop.close()
        assert loop in apush._made
        with pytest.raises(ClusterError):
            asyncio.run(_send_to_all())
    assert loop not in apush._made


def test_a_setting_that_a_test_overrides_leads_elsewhere() -> None:
    async def main() -> None:
        one, other = Gateway("websocket://127.0.0.1:0", name="one"), Gateway("websocket://127.0.0.1:0", name="other")
        async with cluster(one) as first, cluster(other) as second:
            await second.connect()
            for c, count in ((first, 0), (second, 1)):
                with override_settings(TIDEGATE={"CLUSTER": c.address}):
                    assert await apush.get_all_client_count() == count
                    assert await asyncio.to_thread(push.get_all_client_count) == count
            gc.collect()
            await until(lambda: push_clients(one) + push_clients(other) == 0)

    asyncio.run(main())


def test_outside_of_a_loop_apush_can_not_be_awaited() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        apush.send_to_all("x").__await__().send(None)


def in_a_process(code: str) -> str:
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def test_importing_it_needs_no_settings_yet() -> None:
    assert in_a_process("import tidegate.contrib.django; print('imported')") == "imported\n"


def test_without_django_the_error_says_what_to_install() -> None:
    said = in_a_process("import sys; sys.modules['django'] = None; import tidegate.contrib.django")
    assert said.endswith("ImportError: tidegate.contrib.django needs Django: pip install django\n")

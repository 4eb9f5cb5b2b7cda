"""The blocking client among threads and forks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client.support import ScriptedGateway, ScriptedRegister, framed, until
from tidegate.client.blocking import GatewayClient
from tidegate.errors import ClusterTimeoutError

FORKING = Path(__file__).with_name("forking.py")
NAMES = ["parent", "beside-0", "beside-1", "child-0", "child-1", "child-2"]
WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
"""Newer Pythons warn of a fork beside threads, which is what is tried."""


def test_each_threads_commands_stay_in_order() -> None:
    def send(thread: int) -> None:
        for number in range(200):
            client.send_to_client(gateway.client_id(), f"{thread} {number}")
            if number % 50 == 0:
                assert client.is_online(gateway.client_id())

    with ScriptedGateway(lambda _: framed(1)) as gateway, GatewayClient() as client:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(8)))
            client.flush()
        bodies = gateway.bodies()
        for thread in range(8):
            own = [body for body in bodies if body.startswith(f"{thread} ")]
            assert own == [f"{thread} {number}" for number in range(200)]
        assert gateway.accepted == 1


def test_answers_reach_the_threads_that_asked() -> None:
    def ask(number: int) -> bool:
        return all(client.is_online(gateway.client_id(number)) == bool(number) for _ in range(50))

    with (
        ScriptedGateway(lambda packet: framed(packet[1])) as gateway,
        GatewayClient() as client,
        ThreadPoolExecutor(8) as pool,
    ):
        assert all(pool.map(ask, [0, 1] * 8))


def test_threads_that_come_and_go_share_a_connection() -> None:
    with ScriptedGateway() as gateway, GatewayClient() as client:
        for number in range(50):
            thread = threading.Thread(target=client.send_to_client, args=(gateway.client_id(), str(number)))
            thread.start()
            thread.join()
        client.flush()
        assert gateway.bodies() == [str(number) for number in range(50)]
        assert gateway.accepted == 1


def test_many_threads_ask_register_once() -> None:
    with ScriptedGateway() as gateway, ScriptedRegister(gateway.address) as register:
        with GatewayClient(register.address) as client, ThreadPoolExecutor(8) as pool:
            list(pool.map(client.send_to_all, ["hello"] * 8))
            client.flush()
        assert len(register.lines) == 1
        assert len(gateway.bodies()) == 8


def test_threads_that_wait_for_a_mute_register_fail_together() -> None:
    with ScriptedRegister() as register:
        register.answer = None
        client = GatewayClient(register.address, timeout=0.5)

        def send(_: int) -> bool:
            with pytest.raises(ClusterTimeoutError, match=register.address):
                client.send_to_all("hello")
            return True

        started = time.monotonic()
        with client, ThreadPoolExecutor(8) as pool:
            assert all(pool.map(send, range(8)))
        assert time.monotonic() - started < 4 * 0.5


def test_a_client_that_nobody_has_any_more_closes_its_connections() -> None:
    with ScriptedGateway() as gateway:
        client = GatewayClient()
        client.send_to_client(gateway.client_id(), "hello")
        until(lambda: gateway.bodies() == ["hello"])
        del client
        gc.collect()
        until(lambda: not gateway.open)


def test_a_closed_client_can_not_be_used() -> None:
    client = GatewayClient()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="this GatewayClient is closed: make a new one"):
        client.send_to_all("hello")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_connections_and_locks_of_its_own() -> None:
    with ScriptedGateway(lambda packet: framed(packet[1])) as gateway, ScriptedRegister(gateway.address) as register:
        done = subprocess.run(
            [sys.executable, *WARNINGS, str(FORKING), register.address, gateway.client_id(1), gateway.client_id(0)],
            capture_output=True,
            text=True,
            timeout=40,
        )
        assert done.stderr == ""
        assert done.stdout == "children served\nparent served\n"
        until(lambda: not gateway.open)
        for own in gateway.by_connection.values():  # no connection has what two processes wrote
            assert len({packet[4].split(b" ")[0].split(b"-")[0] for packet in own if packet[4]} - {b"beside"}) == 1
        assert len(gateway.by_connection) == 4
        assert sorted(gateway.bodies()) == sorted(f"{name} {number}" for name in NAMES for number in range(50))

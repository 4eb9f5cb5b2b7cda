"""Gateways as processes of an app: killed and reloaded, they are back on the same ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ports import free_port
from tests.process.support import Lines, Place, is_alive, until
from tidegate.wire import commands, php
from tidegate.wire.packet import HEADER, HEADER_SIZE, pack

APP = """
from tidegate.app import App
from tidegate.gateway.gateway import Gateway
from tidegate.register.register import Register

with open("imports", "a") as imports:
    imports.write("x")

cluster = "127.0.0.1:REGISTER"
app = App(
    Register(cluster, secret_key="s3cret", settle_seconds=0.3),
    Gateway("text://127.0.0.1:PORT", name="chat", count=2, cluster=cluster, start_port=INNER, secret_key="s3cret"),
)
"""


class Cluster:
    """An app of a Register and two gateway processes."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.register, self.port, self.inner = free_port(), free_port(), free_port()
        while free_port() != self.inner + 1:
            self.inner = free_port()
        code = APP.replace("REGISTER", str(self.register)).replace("PORT", str(self.port))
        place.write(code.replace("INNER", str(self.inner)))
        # Beside all others so long, one that is replaced waits for workers to hear that it goes.
        self.app = place.hurry("from tidegate.gateway import gateway\ngateway.LISTED_SECONDS = 0.2").ready()
        self.imports = self.imported()

    def imported(self) -> int:
        """How often the user's code has been."""
        return len((self.place.folder / "imports").read_text())

    def gateways(self) -> list[dict[str, Any]]:
        return [row for row in self.place.processes() if row["role"].startswith("chat")]

    def pids(self) -> list[int]:
        return [row["pid"] for row in self.gateways()]

    def ask(self, inner: int, number: int = 1) -> bytes:
        """Ask a gateway on its inner port, as a push client does."""
        with socket.create_connection(("127.0.0.1", inner), 5) as sock:
            hello = pack(commands.GATEWAY_CLIENT_CONNECT, body=b'{"secret_key":"s3cret"}')
            sock.sendall(hello + pack(commands.IS_ONLINE, number))
            (length,) = struct.unpack("!I", _read(sock, 4))
            return _read(sock, length)

    def serves(self, inner: int) -> bool:
        try:
            return self.ask(inner) == php.dumps(0)
        except OSError:
            return False

    def listed(self) -> list[str]:
        """What Register says."""
        with Lines(self.register) as register:
            return sorted(json.loads(register.ask('{"event":"worker_connect","secret_key":"s3cret"}'))["addresses"])


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("it ended")
        data += more
    return data


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests, which leave it whole."""
    place = Place(tmp_path_factory.mktemp("cluster"))
    try:
        yield Cluster(place)
    finally:
        place.clear()


def test_a_killed_gateway_is_back_on_the_same_ports_and_the_other_serves_on(cluster: Cluster) -> None:
    both = [f"127.0.0.1:{cluster.inner}", f"127.0.0.1:{cluster.inner + 1}"]
    until(lambda: cluster.listed() == both)
    assert all(cluster.serves(cluster.inner + index) for index in range(2))
    (first, second), imports = cluster.pids(), cluster.imported()
    os.kill(first, signal.SIGKILL)
    assert cluster.serves(cluster.inner + 1)
    until(lambda: cluster.serves(cluster.inner))
    assert cluster.imported() == imports  # its processes do without the user's code
    until(lambda: cluster.listed() == both)
    assert second in cluster.pids()
    assert first not in cluster.pids()


def test_an_old_connection_id_means_nobody_after_a_restart(cluster: Cluster) -> None:
    def number_of(worker: socket.socket) -> int:
        with Lines(cluster.port) as client:
            client.send("hi")
            packet = HEADER.unpack(_read(worker, HEADER_SIZE))
            assert packet[1] == commands.ON_CONNECT
            return int(packet[6])

    def worker_of(inner: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", inner), 5)
        sock.sendall(pack(commands.WORKER_CONNECT, body=b'{"worker_key":"w:0","secret_key":"s3cret"}'))
        return sock

    first, second = cluster.pids()
    os.kill(second, signal.SIGSTOP)  # so that all clients come to the other
    try:
        with worker_of(cluster.inner) as worker:
            before = number_of(worker)
        os.kill(first, signal.SIGKILL)
        until(lambda: cluster.serves(cluster.inner))
        with worker_of(cluster.inner) as worker:
            assert abs(number_of(worker) - before) > 1
            assert cluster.ask(cluster.inner, before) == php.dumps(0)
    finally:
        os.kill(second, signal.SIGCONT)


def test_reload_leaves_gateways_alone_and_reload_all_replaces_one_after_the_other(cluster: Cluster) -> None:
    before = cluster.pids()
    cluster.place.command("reload")
    assert cluster.pids() == before
    cluster.place.reload(everything=True)
    after = cluster.pids()
    assert not set(before) & set(after)
    assert not any(map(is_alive, before))
    assert all(cluster.serves(cluster.inner + index) for index in range(2))
    until(lambda: len(cluster.listed()) == 2)


def test_its_processes_do_without_the_users_code(cluster: Cluster) -> None:
    assert cluster.imports == 1  # by the one that looked what is in the app


def test_an_inner_port_in_use_is_said_in_one_line(place: Place) -> None:
    register, port = free_port(), free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        inner = taken.getsockname()[1]
        code = APP.replace("REGISTER", str(register)).replace("PORT", str(port)).replace("INNER", str(inner))
        place.write(code.replace("count=2", "count=1"))
        done = place.run("start", "app.py")
    assert done.returncode == 1
    assert f"{inner}: it is in use" in done.stderr
    assert "Traceback" not in done.stderr

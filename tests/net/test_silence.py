"""A machine that is silent is told from a process that is busy; tests/whole/test_partitions.py has the former."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tidegate.net import silence
from tidegate.net.silence import Watch, watch_idle

pytestmark = pytest.mark.skipif(not silence.HAS_INFO, reason="only Linux tells what was confirmed")


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection; a fifth of a second is a long silence."""
    monkeypatch.setattr(silence, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        near.setblocking(False)
        yield near, far


def was_silent(watch: Watch, seconds: float = 1.2) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if watch.is_silent():
            return True
        time.sleep(0.02)
    return False


def test_one_that_says_nothing_and_to_which_nothing_is_said_is_not_silent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    watch = Watch(pair[0])
    assert not was_silent(watch)
    assert watch.unconfirmed == 0


def test_one_whose_process_does_not_read_is_not_silent_and_what_waits_is_known(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += near.send(bytes(65536))
    watch = Watch(near)
    assert not was_silent(watch)
    assert 0 < watch.unconfirmed <= sent
    far.settimeout(5)
    while sent:
        sent -= len(far.recv(1 << 20))
    assert not was_silent(watch, 0.3)
    assert watch.unconfirmed == 0


def test_idle_connections_are_asked_so_often_that_it_takes_no_longer(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SECONDS", 20.0)
    watch_idle(pair[0])
    idle, interval, count = (
        pair[0].getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle + interval * count == 20

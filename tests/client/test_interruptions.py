"""The blocking client interrupted by signals in the middle of anything."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import FrameType

import pytest

from tests.client.support import ScriptedGateway, ScriptedRegister, framed, until
from tidegate.client.blocking import GatewayClient
from tidegate.errors import ClusterError, ClusterTimeoutError


@contextmanager
def on_signal(number: int, handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def signal_once(condition: Callable[[], object]) -> threading.Thread:
    """Send the main thread a signal when this is so."""

    def run() -> None:
        until(condition)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def queue(client: GatewayClient) -> int:
    """How many have something to send that has not left."""
    return sum(len(connection.writers) for connection in client._now().store._connections.values())


def test_what_was_interrupted_is_not_taken_for_the_next_answer() -> None:
    with ScriptedGateway(lambda _: None) as gateway, GatewayClient() as client:
        with on_signal(signal.SIGUSR1, interrupt):
            thread = signal_once(lambda: gateway.packets)
            with pytest.raises(KeyboardInterrupt):
                client.is_online(gateway.client_id())
            thread.join()
        gateway.answer = lambda _: framed(1)
        assert client.is_online(gateway.client_id())
        assert gateway.accepted == 2


def test_whoever_is_interrupted_in_the_queue_keeps_nobody_waiting() -> None:
    with ScriptedGateway() as gateway, GatewayClient() as client, ThreadPoolExecutor() as pool:
        client.is_online(gateway.client_id())
        gateway.reads.clear()
        first = pool.submit(client.send_to_client, gateway.client_id(), "x" * 9_000_000)
        until(lambda: queue(client) == 1)
        with on_signal(signal.SIGUSR1, interrupt):
            thread = signal_once(lambda: queue(client) == 2)
            with pytest.raises(KeyboardInterrupt):
                client.send_to_client(gateway.client_id(), "second")
            thread.join()
        third = pool.submit(client.send_to_client, gateway.client_id(), "third")
        until(lambda: queue(client) == 2)
        gateway.reads.set()
        first.result(20)
        third.result(20)
        client.flush()
        assert [body[:6] for body in gateway.bodies()] == ["xxxxxx", "third"]
        assert gateway.accepted == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a finalizer
def test_interruptions_anywhere_leave_nothing_held_and_nothing_out_of_step() -> None:
    chance = random.Random(7)

    def ask(client: GatewayClient, number: int) -> None:
        client.send_to_client(gateway.client_id(), "x" * 10_000)
        assert client.is_online(gateway.client_id(number)) == bool(number)

    with ScriptedGateway(lambda packet: framed(packet[1])) as gateway, GatewayClient(timeout=20) as client:
        interrupted = 0
        with on_signal(signal.SIGALRM, interrupt):
            for _ in range(500):
                try:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00002, 0.001))
                    for number in (1, 0):
                        ask(client, number)
                        ask(client, number)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
        assert interrupted > 50
        assert queue(client) == 0
        started = time.monotonic()
        with ThreadPoolExecutor(2) as pool:  # in threads that are not the one which was interrupted
            list(pool.map(ask, [client] * 8, [0, 1] * 4))
        assert time.monotonic() - started < 10


def test_a_handler_that_pushes_in_the_middle_of_a_push_is_served_or_told_that_the_gateway_is_busy() -> None:
    told: list[str] = []

    def push(number: int, frame: FrameType | None) -> None:
        try:
            client.send_to_client(gateway.client_id(), "from the handler")
            told.append("served")
        except ClusterTimeoutError as error:
            told.append(str(error))

    def answer_once_told() -> None:
        until(lambda: told)
        goes_on.set()

    goes_on = threading.Event()
    with ScriptedGateway() as gateway, on_signal(signal.SIGUSR1, push), ExitStack() as clients:
        client = clients.enter_context(GatewayClient(timeout=20))
        gateway.answer = lambda _: framed(1) if goes_on.wait(20) else None
        thread = signal_once(lambda: gateway.packets)
        release = threading.Thread(target=answer_once_told)
        release.start()
        assert client.is_online(gateway.client_id())  # interrupted while it waits for the answer
        thread.join()
        release.join()
        gateway.reads.clear()
        client = clients.enter_context(GatewayClient(timeout=0.5))
        thread = signal_once(lambda: queue(client))
        with pytest.raises(ClusterError, match=gateway.address):  # interrupted while it writes
            client.send_to_client(gateway.client_id(), "x" * 9_000_000)
        thread.join()
    assert told == ["served", f"gateway {gateway.address} still keeps another call waiting"]


def test_whoever_is_interrupted_while_it_connects_leaves_that_to_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ThreadPoolExecutor() as pool:
        place = listener.getsockname()
        client_id = f"7f000001{place[1]:04x}00000001"
        with (
            socket.create_connection(place),  # nobody else gets in
            ScriptedRegister(f"127.0.0.1:{place[1]}") as register,
            GatewayClient(register.address, connect_timeout=20, timeout=20) as client,
            on_signal(signal.SIGUSR1, interrupt),
        ):

            def follow() -> None:
                until(lambda: client._kept and queue(client) == 1)
                client.send_to_client(client_id, "hello")

            following = pool.submit(follow)
            thread = signal_once(lambda: client._kept and queue(client) == 2)
            with pytest.raises(KeyboardInterrupt):
                client.send_to_client(client_id, "interrupted")
            thread.join()
            listener.accept()[0].close()  # there is room again
            with listener.accept()[0] as sock:
                following.result(20)
                assert sock.recv(1000).endswith(b"hello")

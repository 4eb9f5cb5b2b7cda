"""One connection in the hands of many threads: whose bytes and answers are whose, and what its failure is to each."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.client.support import HANG_UP, ScriptedGateway, ScriptedRegister, framed, until
from tidegate.client.blocking import GatewayClient
from tidegate.errors import ClusterError, ClusterTimeoutError

BIG = "x" * 9_000_000
"""More than the system takes for who does not read."""


def outcome(future: Future[None]) -> str:
    """What a call came to."""
    error = future.exception(20)
    return "" if error is None else f"{type(error).__name__}: {error}"


@contextmanager
def no_descriptors() -> Iterator[None]:
    """The process may open nothing more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # whatever is closed meanwhile
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def waiting(client: GatewayClient) -> tuple[int, int]:
    """How many have something to send, and how many wait for answers."""
    (connection,) = client._now().store._connections.values()
    return len(connection.writers), len(connection.link.questions.waiting) if connection.link else 0


def in_queue(client: GatewayClient, count: int) -> None:
    """Wait for so many who have something to send."""
    until(lambda: waiting(client)[0] == count)


def test_large_commands_of_many_threads_do_not_mix() -> None:
    def send(thread: int) -> None:
        for number in range(20):
            client.send_to_client(gateway.client_id(), f"{thread} {number} " + str(thread) * 300_000)
            assert client.is_online(gateway.client_id(thread % 2)) == bool(thread % 2)

    with ScriptedGateway(lambda packet: framed(packet[1])) as gateway, GatewayClient(timeout=20) as client:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(8)))
        bodies = gateway.bodies()
        for thread in range(8):
            text = str(thread) * 300_000
            assert [body for body in bodies if body[0] == str(thread)] == [
                f"{thread} {number} {text}" for number in range(20)
            ]
        assert gateway.accepted == 1


def test_a_slow_answer_holds_up_no_commands_and_no_other_gateway() -> None:
    goes_on = threading.Event()
    with (
        ScriptedGateway(lambda packet: framed(packet[1]) if goes_on.wait(20) else None) as slow,
        ScriptedGateway(lambda _: framed(1)) as quick,
        ScriptedRegister(slow.address, quick.address) as register,
        GatewayClient(register.address, timeout=20) as client,
        ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(client.is_online, slow.client_id(1))
        until(lambda: slow.packets)
        count = pool.submit(client.get_all_client_count)
        until(lambda: quick.packets)
        third = pool.submit(client.is_online, slow.client_id(0))
        for number in range(100):
            client.send_to_client(slow.client_id(), str(number))
            client.send_to_all(str(number))
            assert client.is_online(quick.client_id())
        assert not first.done()
        goes_on.set()
        assert (first.result(20), count.result(20), third.result(20)) == (True, 1, False)
        client.flush()
        assert quick.bodies() == [str(number) for number in range(100)]
        assert slow.bodies() == [str(number // 2) for number in range(200)]
        assert (slow.accepted, quick.accepted) == (1, 1)


def test_large_answers_reach_the_threads_that_asked() -> None:
    def ask(number: int) -> bool:
        groups = client.get_all_group_id_list()
        return len(groups) == 20_000 and client.is_online(gateway.client_id(number)) == bool(number)

    answer = framed([f"group {number}" for number in range(20_000)])
    with (
        ScriptedGateway(lambda packet: answer if packet[0] == 26 else framed(packet[1])) as gateway,
        ScriptedRegister(gateway.address) as register,
        GatewayClient(register.address, timeout=20) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        assert all(pool.map(ask, [0, 1] * 8))
        assert gateway.accepted == 1


def test_all_who_wait_for_answers_are_told_when_the_connection_breaks() -> None:
    with ScriptedGateway(lambda _: b"") as gateway, GatewayClient() as client, ThreadPoolExecutor() as pool:
        asked = [pool.submit(client.is_online, gateway.client_id()) for _ in range(4)]
        until(lambda: len(gateway.packets) == 4)
        gateway.hang_up()
        for each in asked:
            with pytest.raises(
                ClusterError, match=f"gateway {gateway.address} closed the connection without an answer"
            ):
                each.result(20)
        gateway.answer = lambda _: framed(1)
        assert client.is_online(gateway.client_id())
        assert gateway.accepted == 2


def test_those_who_had_sent_nothing_yet_go_on_with_a_new_connection_in_their_order() -> None:
    with ScriptedGateway() as gateway, GatewayClient() as client, ThreadPoolExecutor() as pool:
        client.is_online(gateway.client_id())
        gateway.reads.clear()
        torn = pool.submit(client.send_to_client, gateway.client_id(), BIG)
        in_queue(client, 1)
        calls = []
        for number in range(3):
            calls.append(pool.submit(client.send_to_client, gateway.client_id(), str(number)))
            in_queue(client, 2 + number)
        gateway.reset()
        gateway.reads.set()
        assert f"ClusterError: the connection to gateway {gateway.address} broke" in outcome(torn)
        assert [outcome(call) for call in calls] == ["", "", ""]
        with pytest.raises(ClusterError, match=gateway.address):
            client.flush()
        client.flush()
        assert gateway.bodies() == ["0", "1", "2"]
        assert gateway.accepted == 2


def timed(call: Callable[[], object]) -> tuple[float, str]:
    started = time.monotonic()
    try:
        call()
        told = ""
    except ClusterError as error:
        told = str(error)
    return time.monotonic() - started, told


def test_every_call_to_a_gateway_that_reads_nothing_ends_in_time() -> None:
    with (
        ScriptedGateway() as stalled,
        ScriptedGateway() as good,
        ScriptedRegister(stalled.address, good.address) as register,
        GatewayClient(register.address, timeout=1) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        client.get_all_client_count()
        stalled.reads.clear()
        calls: list[Callable[[], object]] = [
            lambda: client.send_to_client(stalled.client_id(), BIG),
            lambda: client.is_online(stalled.client_id()),
            lambda: client.send_to_all("hello"),
            lambda: client.get_all_client_count(),
        ]
        results = list(pool.map(timed, calls * 4))
        assert max(seconds for seconds, _ in results) < 3
        assert all(stalled.address in told for _, told in results[1::2])
        assert not any(good.address in told for _, told in results)
        assert good.bodies() == ["hello"] * 4


def test_every_call_to_a_gateway_that_answers_nothing_ends_in_time() -> None:
    with (
        ScriptedGateway(lambda _: None) as mute,
        GatewayClient(timeout=0.4) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        results = list(pool.map(timed, [lambda: client.is_online(mute.client_id())] * 16))
        assert max(seconds for seconds, _ in results) < 1.5
        assert {told for _, told in results} == {f"gateway {mute.address} did not answer within 0.4 s"}


def test_threads_that_wait_for_a_gateway_that_accepts_nothing_fail_together() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        place = listener.getsockname()
        with socket.create_connection(place), ThreadPoolExecutor(8) as pool:
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(place)
            client_id = f"7f000001{place[1]:04x}00000001"
            with (
                ScriptedRegister(f"127.0.0.1:{place[1]}") as register,
                GatewayClient(register.address, connect_timeout=0.4, timeout=5) as client,
            ):
                results = list(pool.map(timed, [lambda: client.send_to_client(client_id, "hello")] * 8))
            for filler in fillers:
                filler.close()
        assert {told for _, told in results} == {f"gateway 127.0.0.1:{place[1]} was not reached within 0.4 s"}
        assert max(seconds for seconds, _ in results) < 2


def test_an_answer_too_many_fails_all_who_wait() -> None:
    with ScriptedGateway(lambda _: b"") as gateway, GatewayClient() as client, ThreadPoolExecutor() as pool:
        asked = [pool.submit(client.is_online, gateway.client_id()) for _ in range(3)]
        until(lambda: len(gateway.packets) == 3)
        gateway.say(framed(1) * 4)
        for each in asked:
            with pytest.raises(ClusterError, match=f"gateway {gateway.address} sent more than it was asked for"):
                each.result(20)


def test_a_client_that_is_closed_lets_calls_in_other_threads_end() -> None:
    goes_on = threading.Event()
    with ScriptedGateway(lambda _: framed(1) if goes_on.wait(20) else None) as gateway, ThreadPoolExecutor() as pool:
        client = GatewayClient()
        asked = pool.submit(client.is_online, gateway.client_id())
        until(lambda: gateway.packets)
        client.close()
        goes_on.set()
        assert asked.result(20) is True
        until(lambda: not gateway.open)


def test_a_flush_that_gets_no_answer_is_told_by_all_who_flush() -> None:
    with ScriptedGateway(lambda _: HANG_UP) as gateway, GatewayClient() as client, ThreadPoolExecutor() as pool:
        begun = threading.Barrier(2)

        def flush() -> None:
            client.send_to_client(gateway.client_id(), "hello")
            begun.wait(20)
            client.flush()

        flushes = [pool.submit(flush) for _ in range(2)]
        assert all(gateway.address in outcome(each) for each in flushes)


def test_a_process_without_descriptors_left_says_so_and_goes_on_later() -> None:
    with ScriptedGateway(lambda _: framed(1)) as gateway, ScriptedGateway() as other, GatewayClient() as client:
        client.is_online(other.client_id())  # so that Register has named both
        with no_descriptors(), pytest.raises(ClusterError, match=f"{gateway.address} can't be reached: Too many open"):
            client.is_online(gateway.client_id())
        assert client.is_online(gateway.client_id())


def test_a_timed_out_question_does_not_answer_the_next() -> None:
    with ScriptedGateway(lambda _: None) as gateway, GatewayClient(timeout=0.3) as client:
        with pytest.raises(ClusterTimeoutError, match=gateway.address):
            client.is_online(gateway.client_id(0))
        gateway.answer = lambda packet: framed(packet[1])
        assert client.is_online(gateway.client_id(1)) is True

"""The client for threads, with a real server."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.cluster.nats.server import NatsServer
from tests.cluster.nats.support import Noting, namespace
from tests.net.support import Runner, until
from tidegate.cluster.nats import session
from tidegate.cluster.nats.blocking import BlockingNatsClient
from tidegate.cluster.nats.protocol import Message
from tidegate.cluster.nats.url import parse_nats
from tidegate.errors import ClusterError, ClusterTimeoutError
from tidegate.net.loops import new_event_loop


class Echo:
    """Notes what comes on ``in`` and answers what comes on ``ask`` and ``count``, in a loop and a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: Runner(new_event_loop)(self._main()))
        self.client: Noting | None = None

    def __enter__(self) -> Noting:
        self._thread.start()
        assert self._ready.wait(20)
        assert self.client is not None
        return self.client

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _main(self) -> None:
        async with Noting(self._url) as client:

            def answer(message: Message) -> None:
                client.publish_parts(message.reply, message.payload + b"!")

            def count(message: Message) -> None:
                for number in range(3):
                    client.publish(message.reply, b"%d" % number)

            client.subscribe("in")
            client.subscribe("ask", answer)
            client.subscribe("count", count)
            client.subscribe("silent", lambda message: None)
            await client.flush()
            self.client = client
            self._ready.set()
            await until(self._stop.is_set, 60)


@pytest.fixture
def url(nats: NatsServer) -> str:
    return f"{nats.url}/{namespace()}"


@pytest.fixture
def make() -> Iterator[Callable[..., BlockingNatsClient]]:
    """Makes clients, which are closed in the end."""
    made: list[BlockingNatsClient] = []

    def make(url: str, **options: float) -> BlockingNatsClient:
        made.append(BlockingNatsClient(parse_nats(url), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for client in made:
        client.close()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_is_published_arrives_in_order(url: str, make: Callable[..., BlockingNatsClient]) -> None:
    with Echo(url) as echo:
        client = make(url)
        long = b"x" * 2_500_000
        client.publish("in", b"first")
        client.publish_parts("in", long)
        with pytest.raises(ValueError, match="payload of 2500000 bytes"):
            client.publish("in", long)
        for number in range(100):
            client.publish("in", b"%d" % number)
        client.flush()
        wait_for(lambda: len(echo.messages) == 102)
        assert echo.payloads == [b"first", long, *(b"%d" % number for number in range(100))]


def test_questions_are_answered_within_one_limit(url: str, make: Callable[..., BlockingNatsClient]) -> None:
    with Echo(url):
        client = make(url, timeout=0.5)
        assert client.request("ask", b"x").payload == b"x!"
        long = b"y" * 2_500_000
        one, two, three = client.gather([("ask", long), ("nobody", b""), ("silent", b"")])
        assert isinstance(one, Message)
        assert one.payload == long + b"!"
        assert str(two) == "nobody listens to nobody on NATS"
        assert isinstance(three, ClusterTimeoutError)
        assert client.gather([]) == []
        found: list[bytes] = []

        def take(message: Message) -> bool:
            found.append(message.payload)
            return message.payload == b"1"

        assert client.collect([("count", b"", take)]) == [None]
        assert found == [b"0", b"1"]


def test_threads_share_one_connection(url: str, make: Callable[..., BlockingNatsClient]) -> None:
    with Echo(url) as echo:
        client = make(url)
        problems: list[BaseException] = []

        def use(name: int) -> None:
            try:
                for number in range(50):
                    client.publish("in", b"%d %d" % (name, number))
                    question = b"%d-%d" % (name, number)
                    assert client.request("ask", question).payload == question + b"!"
                    if number % 10 == 0:
                        client.publish_parts("in", b"%d " % name + b"x" * 1_100_000)
                        client.flush()
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=use, args=(name,)) for name in range(6)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert time.monotonic() - started < 15  # nobody waited in vain for what another had read
        assert client.counters.connections == 1
        wait_for(lambda: len(echo.messages) == 6 * 55)
        for name in range(6):
            own = [payload for payload in echo.payloads if payload.startswith(b"%d " % name) and len(payload) < 20]
            assert own == [b"%d %d" % (name, number) for number in range(50)]


def test_a_fork_has_a_connection_of_its_own(url: str, make: Callable[..., BlockingNatsClient]) -> None:
    with Echo(url):
        client = make(url)
        assert client.request("ask", b"before").payload == b"before!"
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with client._now().lock:
                held.set()
                done.wait(20)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(20)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = 0 if client.request("ask", b"child").payload == b"child!" else 2
                client.flush()
                client.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        done.set()
        holder.join()
        assert client.request("ask", b"after").payload == b"after!"
        assert client.counters.connections == 1


def test_a_new_connection_is_made_when_it_is_needed(
    own_nats: NatsServer, make: Callable[..., BlockingNatsClient]
) -> None:
    client = make(own_nats.url, connect_timeout=1, timeout=1)
    client.publish("a", b"")
    client.flush()
    own_nats.stop()
    with pytest.raises(ClusterError, match="Connection refused"):
        client.publish("a", b"")
    client.flush()  # nothing is lost
    own_nats.start()
    client.publish("a", b"")
    client.flush()
    assert client.counters.connections == 2


def test_a_break_is_told_to_each_thread_by_its_next_flush(
    own_nats: NatsServer, make: Callable[..., BlockingNatsClient]
) -> None:
    client = make(own_nats.url)
    client.publish("a", b"")
    client.flush()
    own_nats.pause()
    client.publish("a", b"perhaps lost")
    own_nats.stop()
    own_nats.start()
    client.publish("a", b"")
    with pytest.raises(ClusterError, match="broke since the last flush"):
        client.flush()
    client.flush()
    assert client.counters.unconfirmed == 1


def test_a_server_that_is_silent_costs_no_more_than_the_limit(
    own_nats: NatsServer, make: Callable[..., BlockingNatsClient]
) -> None:
    client = make(own_nats.url, connect_timeout=0.3, timeout=0.3)
    client.publish("a", b"")
    client.flush()
    own_nats.pause()
    started = time.monotonic()
    with pytest.raises(ClusterTimeoutError):
        client.request("a", b"")
    with pytest.raises(ClusterError):
        client.flush()
    with pytest.raises(ClusterTimeoutError, match=r"took the connection and says nothing"):
        client.publish("a", b"")
    assert time.monotonic() - started < 5
    own_nats.resume()
    client.publish("a", b"")


def test_a_server_that_fell_silent_is_tried_last(
    own_nats: NatsServer, url: str, make: Callable[..., BlockingNatsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "shuffle", lambda servers: None)
    monkeypatch.setattr(session, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(session, "GONE_SECONDS", 0.1)
    client = make(f"{url.rpartition('/')[0]},{own_nats.url}/{namespace()}")
    client.connect()
    assert client.others[0].port != own_nats.port
    own_nats.pause()
    with pytest.raises(ClusterError, match="it was silent for"):
        client.request("a", b"")
    started = time.monotonic()
    client.publish("a", b"")
    assert time.monotonic() - started < 1
    own_nats.resume()


def test_servers_that_say_nothing_share_the_time_for_a_connection_and_threads_the_attempt(
    make: Callable[..., BlockingNatsClient],
) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        url = ",".join(f"nats://127.0.0.1:{server.getsockname()[1]}" for server in servers)
        client = make(url, connect_timeout=0.6)
        started = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            problems = [pool.submit(client.publish, "a", b"").exception()]
            problems += [each.exception() for each in [pool.submit(client.publish, "a", b"") for _ in range(4)]]
        assert time.monotonic() - started < 1.7  # two attempts, and not fifteen
        for problem in problems:
            assert isinstance(problem, ClusterTimeoutError)
            assert all(str(server.getsockname()[1]) in str(problem) for server in servers)


def test_nobody_is_silent_since_before_nats_was_away(
    own_nats: NatsServer, make: Callable[..., BlockingNatsClient]
) -> None:
    client = make(own_nats.url, connect_timeout=1)
    client.connect()
    own_nats.stop()
    with pytest.raises(ClusterError, match="Connection refused"):
        client.connect()
    own_nats.start()
    back = time.monotonic()
    client.connect()
    assert client.lost_at >= back


def test_a_server_that_does_not_read_is_given_up(own_nats: NatsServer, make: Callable[..., BlockingNatsClient]) -> None:
    client = make(own_nats.url, timeout=0.3)
    client.publish("a", b"")
    own_nats.pause()

    def fill() -> None:
        for _ in range(100):
            client.publish("a", b"x" * 1_000_000)

    with pytest.raises(ClusterError, match="broke in the middle of a message"):
        fill()
    own_nats.resume()


def test_what_was_idle_is_opened_anew(
    url: str, make: Callable[..., BlockingNatsClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(url)
    client.publish("a", b"")
    client.publish("a", b"")
    assert client.counters.connections == 1
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.0)
    client.publish("a", b"")
    assert client.counters.connections == 2
    client.flush()


def test_the_questions_of_the_server_are_answered(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[..., BlockingNatsClient]
) -> None:
    folder = tmp_path_factory.mktemp("nats")
    with NatsServer(folder, 'ping_interval: "100ms"\nping_max: 3') as server:
        client = make(server.url)
        for _ in range(12):
            client.publish("a", b"")
            client.flush()
            time.sleep(0.1)  # as long as the server asks: four times what it bears
        assert client.counters.connections == 1


def test_a_closed_client_says_so(url: str, make: Callable[..., BlockingNatsClient]) -> None:
    client = make(url)
    client.close()
    with pytest.raises(RuntimeError, match="is closed"):
        client.publish("a", b"")

"""Workers on udp:// addresses."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.net.support import Runner, serving, stats, turns, until
from tests.net.test_opening import has_ipv6
from tidegate import Worker
from tidegate.net import datagrams
from tidegate.net.datagrams import Peer


class Sender:
    """A UDP socket."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((host, port))

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.send(data)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, 65536)


@pytest.mark.parametrize(("encoding", "expected"), [(None, b"hello"), ("utf-8", "hello")])
def test_a_datagram_is_a_message_and_can_be_answered(run: Runner, encoding: str | None, expected: Any) -> None:
    async def main() -> None:
        worker = Worker("udp://127.0.0.1:0", encoding=encoding)
        seen: list[tuple[Any, ...]] = []

        @worker.on_message
        def handle(peer: Peer, message: Any) -> None:
            seen.append((message, peer.remote_ip, peer.remote_port))
            assert peer.worker is worker
            assert peer.send("text")
            assert peer.send(b"bytes")
            peer.close("last")

        async with serving(worker) as port:
            with Sender(port) as sender:
                sender.send(b"hello")
                assert [await sender.receive() for _ in range(3)] == [b"text", b"bytes", b"last"]
                assert seen == [(expected, "127.0.0.1", sender.sock.getsockname()[1])]
                assert (stats(worker)["messages_in"], stats(worker)["messages_out"]) == (1, 3)

    run(main())


def test_datagrams_of_other_families_are_answered(run: Runner) -> None:
    async def main(address: str, host: str) -> None:
        worker = Worker(address)
        worker.on_message = lambda peer, data: peer.send(peer.remote_ip)
        async with serving(worker) as port:
            with Sender(port, host) as sender:
                sender.send(b"who am I?")
                assert await sender.receive() == host.encode()

    run(main("udp://localhost:0", "127.0.0.1" if not has_ipv6() else local_host()))
    if has_ipv6():
        run(main("udp://[::1]:0", "::1"))
        run(main("udp://[::]:0", "::1"))
        run(main("udp://[::]:0", "127.0.0.1"))


def local_host() -> str:
    """The address that comes first for the name."""
    return str(socket.getaddrinfo("localhost", 1, type=socket.SOCK_DGRAM)[0][4][0])


def test_a_name_is_served_on_all_its_addresses(run: Runner) -> None:
    async def main() -> None:
        hosts = {str(found[4][0]) for found in socket.getaddrinfo("localhost", 1, type=socket.SOCK_DGRAM)}
        first = Worker("udp://localhost:0")
        async with serving(first) as port:
            pass
        worker = Worker(f"udp://localhost:{port}")
        worker.on_message = lambda peer, data: peer.send(data)
        async with serving(worker):
            for host in hosts:
                with Sender(port, host) as sender:
                    sender.send(b"hello")
                    assert await sender.receive() == b"hello"

    run(main())


def test_async_handlers_answer_and_too_many_of_them_drop_datagrams(
    run: Runner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(datagrams, "MAX_PENDING", 3)

    async def main() -> None:
        worker = Worker("udp://127.0.0.1:0")
        go_on = asyncio.Event()

        @worker.on_message
        async def handle(peer: Peer, data: bytes) -> None:
            await go_on.wait()
            peer.send(data)

        async with serving(worker) as port:
            with Sender(port) as sender:
                for number in range(5):
                    sender.send(str(number).encode())
                await until(lambda: stats(worker)["dropped_messages"] == 2)
                go_on.set()
                assert {await sender.receive() for _ in range(3)} == {b"0", b"1", b"2"}

    run(main())
    assert "datagrams dropped, handlers are behind" in caplog.text


def test_a_handler_that_fails_is_logged(run: Runner, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        worker = Worker("udp://127.0.0.1:0")

        @worker.on_message
        async def handle(peer: Peer, data: bytes) -> None:
            if data == b"fail":
                raise ValueError("not this one")
            peer.send(data)

        async with serving(worker) as port:
            with Sender(port) as sender:
                sender.send(b"fail")
                sender.send(b"fine")
                assert await sender.receive() == b"fine"
                assert stats(worker)["handler_errors"] == 1

    run(main())
    assert "not this one" in caplog.text


def test_an_answer_that_can_not_be_sent_is_counted_and_nothing_worse(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("udp://127.0.0.1:0")

        @worker.on_message
        def handle(peer: Peer, data: bytes) -> None:
            peer.send(b"x" * 70_000)
            peer.send(b"fits")

        async with serving(worker) as port:
            with Sender(port) as sender:
                for _ in range(2):
                    sender.send(b"?")
                    assert await sender.receive() == b"fits"
                await until(lambda: stats(worker)["send_failures"] == 2)

    run(main())


def test_sending_after_the_worker_has_stopped_gives_false(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("udp://127.0.0.1:0")
        peers: list[Peer] = []
        worker.on_message = lambda peer, data: peers.append(peer)
        async with serving(worker) as port:
            with Sender(port) as sender:
                sender.send(b"hello")
                await until(lambda: peers)
        assert not peers[0].send("too late")
        await turns()

    run(main())

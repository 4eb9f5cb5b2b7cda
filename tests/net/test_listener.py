"""Listening and accepting: ports, paths, and the want of file descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.net.support import DEADLINE, LOOPS, Client, Runner, serving, until
from tidegate import Worker
from tidegate.errors import AddressError
from tidegate.net.address import parse_address
from tidegate.net.sockets import bind


def echoing(address: str, reuse_port: bool | None = None) -> Worker:
    worker = Worker(address, reuse_port=reuse_port)
    worker.on_message = lambda connection, message: connection.send(message)
    return worker


def test_a_port_in_use_is_one_line_that_says_what_to_do(run: Runner) -> None:
    async def main() -> None:
        async with serving(echoing("text://127.0.0.1:0")) as port:
            second = Worker(f"text://127.0.0.1:{port}")
            with pytest.raises(AddressError) as caught:
                await second.listen()
            assert str(caught.value) == (
                f"can't listen on text://127.0.0.1:{port}: it is in use. "
                "Stop what listens there, or choose another port"
            )
        await second.listen()  # it is free now
        await second.stop()

    run(main())


def test_a_worker_may_stop_and_listen_again(run: Runner) -> None:
    async def main() -> None:
        worker = echoing("text://127.0.0.1:0")
        ports = []
        for _ in range(2):
            async with serving(worker) as port:
                ports.append(port)
                with pytest.raises(RuntimeError, match="listens already"):
                    await worker.listen()
                with await Client.connect(port) as client:
                    await client.send(b"hello\n")
                    assert await client.read_line() == "hello"
        assert ports[0] == ports[1]

    run(main())


def test_with_reuse_port_several_may_listen_on_a_port(run: Runner) -> None:
    async def main() -> None:
        async with serving(echoing("text://127.0.0.1:0", reuse_port=True)) as port:
            second = await echoing(f"text://127.0.0.1:{port}", reuse_port=True).listen()
            await second.stop()

    run(main())


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("text://192.0.2.1:0", "192.0.2.1 is no address of this machine"),
        ("text://no-such-host.invalid:80", "the host name 'no-such-host.invalid' is not known"),
        ("text://a..b:80", "the host name 'a..b' is not known"),
        ("unix:///nowhere/at/all.sock", "No such file or directory"),
        ("unix:///" + "x" * 200, "too long"),
    ],
)
def test_an_address_that_can_not_be_had_is_one_line(address: str, complaint: str) -> None:
    with pytest.raises(AddressError, match=complaint) as caught:
        bind(parse_address(address))
    assert str(caught.value).startswith((f"can't listen on {address}: ", f"{address}: "))
    assert "\n" not in str(caught.value)


def test_a_start_that_fails_gives_the_port_back(run: Runner) -> None:
    async def main() -> None:
        worker = Worker("text://127.0.0.1:0")
        ports: list[int] = []

        @worker.on_worker_start
        async def fail(worker: Worker) -> None:
            assert worker.address is not None
            ports.append(worker.address.port)
            raise RuntimeError("the database is away")

        with pytest.raises(RuntimeError, match="the database is away"):
            await worker.listen()
        assert str(worker.address) == "text://127.0.0.1:0"
        async with serving(echoing(f"text://127.0.0.1:{ports[0]}")):
            pass

    run(main())


def test_a_unix_socket_serves_and_goes_with_its_worker(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "app.sock"
        path.unlink(missing_ok=True)
        worker = echoing(f"unix://{path}")
        seen: list[tuple[str, int]] = []
        worker.on_close = lambda connection: seen.append((connection.remote_ip, connection.remote_port))
        async with serving(worker):
            assert path.is_socket()
            with await Client.connect_unix(str(path)) as client:
                await client.send(b"hello")
                assert await client.read(5) == b"hello"
            await until(lambda: seen == [("", 0)])
        assert not path.exists()

    run(main())


def test_the_file_that_a_killed_process_left_behind_is_replaced(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "app.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        assert path.is_socket()
        async with serving(echoing(f"unix://{path}")):
            with await Client.connect_unix(str(path)) as client:
                await client.send(b"hello")
                assert await client.read(5) == b"hello"

    run(main())


def test_the_file_of_a_living_process_is_left_alone(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "app.sock"
        async with serving(echoing(f"unix://{path}")):
            with pytest.raises(AddressError, match=r"it is in use\..* choose another path"):
                await Worker(f"unix://{path}").listen()
            with await Client.connect_unix(str(path)) as client:
                await client.send(b"still here")
                assert await client.read(10) == b"still here"

    run(main())


def test_a_file_that_is_no_socket_is_left_alone(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "notes.txt"
        path.write_text("precious")
        with pytest.raises(AddressError, match="there is a file of that name that is no socket"):
            await Worker(f"unix://{path}").listen()
        assert path.read_text() == "precious"

    run(main())


def test_accepted_connections_have_no_delay_and_keepalive(run: Runner) -> None:
    async def main() -> None:
        worker = echoing("text://127.0.0.1:0")
        async with serving(worker) as port:
            with await Client.connect(port):
                await until(lambda: worker.connections)
                (connection,) = worker.connections.values()
                sock = connection._transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    run(main())


def test_hundreds_who_connect_at_once_are_all_let_in(run: Runner) -> None:
    async def main() -> None:
        worker = echoing("text://127.0.0.1:0")
        async with serving(worker) as port:
            clients = await asyncio.gather(*(Client.connect(port) for _ in range(200)))
            await until(lambda: len(worker.connections) == 200)
            for client in clients:
                await client.send(b"hello\n")
            assert [await client.read_line() for client in clients] == ["hello"] * 200
            for client in clients:
                client.sock.close()
            await until(lambda: not worker.connections)

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_accepting_pauses_without_file_descriptors_and_goes_on_with_them(loop: str) -> None:
    """In a process of its own, whose limit is lowered."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.net.few_descriptors", loop],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert result.returncode == 0, result.stderr
    assert "accepting pauses for 0.1 s: Too many open files. Raise the limit (ulimit -n)" in result.stderr
    assert result.stdout == "all served\n"

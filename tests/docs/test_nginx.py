"""docs/nginx.md: its configuration in a real nginx, with wss clients through it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.docs.support import DOCS, blocks, importable, run
from tests.net.support import CERTIFICATE, KEY, trusting
from tests.ports import free_port
from tests.process.support import until
from tidegate import Gateway
from tidegate.testing import cluster

PAGE = DOCS / "nginx.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)"),
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.5 is an address of this machine on Linux alone"),
]

MAIN = """
daemon off;
pid nginx.pid;
error_log stderr;
{head}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    include site*.conf;
}}
"""


class Nginx:
    """One that runs in a folder, with the page's configuration but for ports, files and names.

    Attributes:
        ports: where it listens, one for each of its sites.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: list[int] = []
        self._site, _, _, head = blocks(PAGE, "nginx")
        head = head.replace("200000", "1000").replace("100000", "400")
        (folder / "nginx.conf").write_text(MAIN.format(head=head))

    def site(self, gateway: int, timeout: str = "75s") -> int:
        """Add one; gives where it listens."""
        port, number = free_port(), len(self.ports)
        text = self._site
        for old, new in {
            "127.0.0.1:7272": f"127.0.0.1:{gateway}",
            "tidegate": f"tidegate{number}",
            "listen 443": f"listen 127.0.0.1:{port}",
            "/etc/ssl/example.com.crt": str(CERTIFICATE),
            "/etc/ssl/example.com.key": str(KEY),
            "75s": timeout,
        }.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / f"site{number}.conf").write_text(text)
        self.ports.append(port)
        return port

    @contextlib.contextmanager
    def running(self) -> Iterator[Nginx]:
        assert NGINX is not None
        command = [NGINX, "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]
        log = self.folder / "log"
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=file, stderr=file)
        try:
            for port in self.ports:
                until(lambda port=port: self.process.poll() is not None or is_open(port))  # type: ignore[misc]
            assert self.process.poll() is None, log.read_text()
            yield self
        finally:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def client(port: int, ip: str = "127.0.0.5", **options: Any) -> Any:
    """A wss client with an address of its own."""
    sock = socket.socket()
    sock.bind((ip, 0))
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    url = f"wss://localhost:{port}/ws"
    async with connect(url, sock=sock, ssl=trusting(), ping_interval=None, **options) as websocket:
        yield websocket


async def said(websocket: ClientConnection, message: str) -> str | bytes:
    await websocket.send(message)
    async with asyncio.timeout(5):
        return await websocket.recv()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    folder = tmp_path / "app"
    folder.mkdir()
    with importable(PAGE, folder) as module:
        yield module("app")


def port_of(gateway: Gateway) -> int:
    assert gateway.address is not None
    return gateway.address.port


def test_clients_talk_through_it_and_are_known_by_their_own_address(app: Any, tmp_path: Path) -> None:
    async def test() -> None:
        nginx = Nginx(tmp_path)
        async with cluster(app.app):
            plain = nginx.site(port_of(app.gateway))
            gone = nginx.site(free_port())
            with nginx.running():
                forged = {"X-Forwarded-For": "9.9.9.9"}
                async with client(plain, additional_headers=forged) as one:
                    assert await said(one, "hello") == "127.0.0.5 said hello"
                    past: dict[str, Any] = {"local_addr": ("127.0.0.6", 0), "additional_headers": forged}
                    async with connect(f"ws://127.0.0.1:{port_of(app.gateway)}", **past) as two:
                        assert await said(two, "hello") == "127.0.0.6 said hello"
                    nginx.process.send_signal(signal.SIGHUP)  # as `nginx -s reload` does
                    async with client(plain) as four:
                        assert await said(four, "new") == "127.0.0.5 said new"
                    assert await said(one, "old") == "127.0.0.5 said old"
                with pytest.raises(InvalidStatus, match="502"):
                    async with client(gone):
                        pass

    run(test)


def test_the_heartbeat_keeps_silent_connections_and_nothing_else_does(app: Any, tmp_path: Path) -> None:
    known: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"]}
    deaf = Gateway("websocket://127.0.0.1:0", name="deaf", ping_interval=0, **known)
    quick = Gateway("websocket://127.0.0.1:0", name="quick", ping_interval=0.4, **known)

    async def test() -> None:
        nginx = Nginx(tmp_path)
        async with cluster(quick, deaf, app.business):
            kept, cut = (nginx.site(port_of(gateway), "1s") for gateway in (quick, deaf))
            with nginx.running():
                async with client(kept) as silent, client(cut) as lost, client(cut) as busy:
                    talking = asyncio.ensure_future(talk(busy, 2.2))
                    with pytest.raises(ConnectionClosed):
                        await asyncio.wait_for(lost.recv(), 5)
                    assert lost.close_code == 1006
                    assert await talking == "127.0.0.5 said 1"
                    assert await said(silent, "still here") == "127.0.0.5 said still here"

    run(test)


async def talk(websocket: ClientConnection, seconds: float) -> str | bytes:
    """Say something now and then that is not answered."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await websocket.pong()
        await asyncio.sleep(0.3)
    return await said(websocket, "1")

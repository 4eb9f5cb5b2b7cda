"""The chat of examples/telnet_chat, as it stands and with one word changed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from tests.clients import Browser, end
from tests.ports import free_port
from tidegate.net import loops

EXAMPLE = Path(__file__).parent.parent / "examples" / "telnet_chat" / "app.py"
ADDRESS = "tcp://0.0.0.0:8282"

Hear = Callable[[], Awaitable[str]]
Say = Callable[[str], None]
Way = Callable[[int], AbstractAsyncContextManager[tuple[Hear, Say]]]


@contextmanager
def running(scheme: str, folder: Path, run_folder: Path) -> Iterator[int]:
    """The example under another scheme and on a free port; gives the port."""
    program, port, register = EXAMPLE.read_text(), free_port(), f"127.0.0.1:{free_port()}"
    assert ADDRESS in program
    program = program.replace(ADDRESS, f"{scheme}://127.0.0.1:{port}")
    (folder / "app.py").write_text(program.replace("Register()", f'Register("{register}")'))  # apart from other tests'
    (folder / "settings.toml").write_text(f'cluster = "{register}"\nstart_port = {free_port()}\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "tidegate", "start", "app.py", "--config", "settings.toml"],
        cwd=folder,
        env={**os.environ, "TIDEGATE_RUN_DIR": str(run_folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert any(line == "ready\n" for line in process.stdout)
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@asynccontextmanager
async def by_telnet(port: int) -> AsyncIterator[tuple[Hear, Say]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def hear() -> str:
        return (await reader.readuntil(b"\r\n")).decode()

    yield hear, lambda text: writer.write(text.encode() + b"\r\n")
    await end(writer)


@asynccontextmanager
async def by_browser(port: int) -> AsyncIterator[tuple[Hear, Say]]:
    browser = await Browser.connect(port)

    async def hear() -> str:
        return await browser.receive() or ""

    yield hear, browser.send
    await browser.close()


async def chat(port: int, come: Way) -> None:
    """Two come, one says something, one goes."""
    async with asyncio.timeout(20), come(port) as (hear, say):
        me = await hear()
        async with come(port) as (other_hears, _):
            other = await other_hears()
            ids = [re.fullmatch(r"Hello ([0-9a-f]{20})\r\n", greeting) for greeting in (me, other)]
            assert ids[0] is not None
            assert ids[1] is not None
            say("hello, café")
            for hears in (hear, other_hears):
                assert await hears() == f"{ids[0][1]} said hello, café\r\n"
        assert await hear() == f"{ids[1][1]} left\r\n"


def test_it_is_twenty_lines() -> None:
    assert len(EXAMPLE.read_text().splitlines()) == 20


def test_it_is_a_chat_for_telnet(tmp_path: Path, run_folder: Path) -> None:
    with running("tcp", tmp_path, run_folder) as port:
        loops.run(chat(port, by_telnet))


def test_with_another_address_and_nothing_else_it_is_one_for_browsers(tmp_path: Path, run_folder: Path) -> None:
    with running("websocket", tmp_path, run_folder) as port:
        loops.run(chat(port, by_browser))

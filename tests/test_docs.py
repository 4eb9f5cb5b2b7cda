"""The README's program, the docs' code and the example, run as they stand (but for their ports)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clients import Backend, Browser
from tests.ports import free_port
from tidegate.net import loops

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


@contextmanager
def running(command: list[str], folder: Path, run_folder: Path) -> Iterator[None]:
    """An app in the foreground, from its "ready" to a clean end by Ctrl-C."""
    environment = {**os.environ, "TIDEGATE_RUN_DIR": str(run_folder), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert any(line == "ready\n" for line in process.stdout)
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    loops.run(limited())


def test_the_readmes_program_is_a_chat(tmp_path: Path, run_folder: Path) -> None:
    port = free_port()
    (program,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "chat.py").write_text(program.replace("7272", str(port)))

    async def test() -> None:
        guests = [await Browser.connect(port) for _ in range(2)]
        guests[0].send("hello")
        assert [await guest.receive() for guest in guests] == ["hello", "hello"]
        for guest in guests:
            await guest.close()

    with running([sys.executable, "-m", "tidegate", "start", "chat.py"], tmp_path, run_folder):
        run(test)


def test_the_example_pushes_as_the_tutorial_says(tmp_path: Path, run_folder: Path) -> None:
    client_port, inner_port = free_port(), free_port()
    for name in ("server.py", "push.py"):
        text = (ROOT / "examples" / "push" / name).read_text()
        (tmp_path / name).write_text(text.replace("1234", str(client_port)).replace("5678", str(inner_port)))
    assert len((ROOT / "examples" / "push" / "server.py").read_text().splitlines()) < 60

    async def test() -> None:
        tabs = [await Browser.connect(client_port, "uid1") for _ in range(2)]
        backend = await Backend.connect(inner_port)
        while await backend.push('{"uid": "uid1", "percent": "1%"}') != "ok":
            pass
        push = await asyncio.create_subprocess_exec(
            sys.executable, tmp_path / "push.py", "uid1", "88%", stdout=asyncio.subprocess.PIPE
        )
        assert (await push.communicate())[0] == b"ok\n"
        messages = [await tab.receive() for tab in tabs]
        assert messages[0] == '{"uid": "uid1", "percent": "1%"}'
        await tabs[0].close()
        assert await backend.push('{"uid": "uid1"}') == "ok"
        assert await backend.push('{"uid": "uid2"}') == "fail"
        assert await backend.push("nonsense") == "fail"
        await tabs[1].close()
        await backend.close()

    with running([sys.executable, "server.py", "start"], tmp_path, run_folder):
        run(test)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_the_docs_code_runs(path: Path) -> None:
    names: dict[str, object] = {"push_to_everybody": None, "secret": "s", "uid": "u", "utype": 0, "__name__": "docs"}
    for code in blocks(path, "python"):
        if "create_connection" not in code:
            exec(compile(code, path.name, "exec"), names)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link


def test_the_docs_protocol_works_in_any_split() -> None:
    names: dict[str, object] = {"__name__": "docs"}
    (code,) = (code for code in blocks(ROOT / "docs" / "workers.md", "python") if "class Reversed" in code)
    exec(compile(code, "workers.md", "exec"), names)
    codec = names["Reversed"]()  # type: ignore[operator]
    data = codec.encode(b"abc") + codec.encode(b"de")
    assert [message for byte in data for message in codec.feed(bytes([byte]))] == [b"abc", b"de"]

"""The README's program, the docs' code and the example, run as they stand (but for their ports)."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Backend, Browser
from tests.docs.support import ROOT, blocks, run
from tests.ports import free_port
from tidegate import cli
from tidegate.client.api import PushAPI
from tidegate.process.settings import BusinessSettings, GatewaySettings, RegisterSettings, WorkerSettings
from tidegate.testing import cluster
from tidegate.wire import commands

DOCS = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]


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


def test_the_readmes_program_is_a_chat_that_a_shell_pushes_to(
    tmp_path: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, register = free_port(), f"127.0.0.1:{free_port()}"
    (program,) = blocks(ROOT / "README.md", "python")
    (tmp_path / "chat.py").write_text(program.replace("7272", str(port)).replace("127.0.0.1:1236", register))
    monkeypatch.setenv("TIDEGATE_CLUSTER", register)
    monkeypatch.setenv("TIDEGATE_START_PORT", str(free_port()))

    async def test() -> None:
        guests = [await Browser.connect(port) for _ in range(2)]
        guests[0].send("hello")
        assert [await guest.receive() for guest in guests] == ["hello", "hello"]
        send = await asyncio.create_subprocess_exec(sys.executable, "-m", "tidegate", "send", "all", "from a shell")
        assert await send.wait() == 0
        assert [await guest.receive() for guest in guests] == ["from a shell"] * 2
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


@pytest.mark.parametrize("path", [path for path in DOCS if path.name != "push.md"], ids=lambda path: path.name)
def test_the_docs_code_runs(path: Path) -> None:
    names: dict[str, object] = {"push_to_everybody": None, "secret": "s", "uid": "u", "utype": 0, "__name__": "docs"}
    for code in blocks(path, "python"):
        if "create_connection" not in code:
            exec(compile(code, path.name, "exec"), names)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_what_the_docs_show_of_others_is_python_at_least(path: Path) -> None:
    for code in blocks(path, "py"):
        compile(code, path.name, "exec")


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", path.read_text()):
        target = path.parent / link if link else path
        assert target.exists(), link
        assert not heading or heading in headings(target), f"{link}#{heading}"


def headings(path: Path) -> list[str]:
    """As links name them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in found]


def test_the_clusters_app_is_a_chat_and_the_code_about_pushing_pushes_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat, *_ = blocks(ROOT / "docs" / "cluster.md", "python")
    app: dict[str, Any] = {"__name__": "docs"}
    exec(compile(chat, "cluster.md", "exec"), app)

    def run_them(address: str, client_id: str) -> None:
        push = [code.replace("127.0.0.1:1236", address) for code in blocks(ROOT / "docs" / "push.md", "python")]
        names: dict[str, Any] = {"__name__": "docs"}
        exec(compile(push[0].partition("\n\ngateway.send")[0], "push.md", "exec"), names)
        names["gateway"].bind_uid(client_id, 42)
        for code in push:
            exec(compile(code, "push.md", "exec"), names)
        names["push_if_possible"](42, "possible")
        names["gateway"].close()

    async def test() -> None:
        async with cluster(app["app"]) as c:
            monkeypatch.setenv("TIDEGATE_CLUSTER", c.address)
            guests = [await c.connect() for _ in range(2)]
            ids = [str(await guest.receive()).removeprefix("you are ") for guest in guests]
            await guests[0].send("hello")
            assert await guests[1].receive() == f"{ids[0]}: hello"
            await asyncio.to_thread(run_them, c.address, ids[0])
            said = ['{"type": "mail", "unread": 3}', "hello", "we close in five minutes", "possible"]
            assert [await guests[0].receive() for _ in said] == said

    run(test)


def test_the_business_workers_code_serves() -> None:
    code = "\n".join(["sessions = {'abc': 'kim'}", *blocks(ROOT / "docs" / "business.md", "python")])
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(code.replace("every(60", "every(0.1"), "business.md", "exec"), names)

    async def test() -> None:
        async with cluster(names["app"]) as c:
            stranger = await c.connect()
            assert "client_id" in await stranger.receive_json()
            assert await stranger.wait_closed() == 1000  # without a cookie it is nobody's
            kim = await c.connect(headers={"Cookie": "sessionid=abc"})
            await kim.send("hi")
            said = ""
            while not all(part in said for part in ('"client_id"', '{"type": "online", "count": 1}', "1 are here")):
                heard = await kim.receive()  # a tick may come first, or often
                assert isinstance(heard, str)
                said += heard

    run(test)


METHODS = {name: fn for name, fn in vars(PushAPI).items() if callable(fn) and not name.startswith("_")}


def test_every_method_is_in_the_table_as_it_is_called() -> None:
    shown = dict(re.findall(r"`(\w+)\(([^`]*)\)`", (ROOT / "docs" / "push.md").read_text()))
    assert shown.keys() >= METHODS.keys()
    for name, fn in METHODS.items():
        parameters = inspect.signature(fn).parameters.values()
        asked = [
            parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default}"
            for parameter in parameters
        ][1:]
        assert shown[name].replace("*, ", "") == ", ".join(asked)


def test_every_name_of_the_original_has_its_counterpart_on_the_page_about_moving() -> None:
    text = (ROOT / "docs" / "moving-from-php.md").read_text()
    calls = {
        step["call"] for step in json.loads((ROOT / "tests" / "vectors" / "gateway_client.json").read_text())["steps"]
    }
    for name in (*calls, *METHODS):
        assert re.search(rf"`{name}[`(]", text), name


@pytest.mark.parametrize(
    ("page", "settings"),
    [("settings", WorkerSettings), ("settings", RegisterSettings), ("gateway", GatewaySettings),
     ("business", BusinessSettings)],
)  # fmt: skip
def test_every_setting_is_on_its_page(page: str, settings: type[Any]) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    for field in dataclasses.fields(settings):
        assert re.search(rf"[`\s]{field.name}[`,\s]", text), field.name


def test_every_command_of_the_protocols_extensions_is_described() -> None:
    text = (ROOT / "docs" / "protocol-extensions.md").read_text()
    numbers = [value for name in commands.__all__ if isinstance(value := getattr(commands, name), int) and value >= 210]
    for name in commands.__all__:
        value = getattr(commands, name)
        if isinstance(value, int) and value >= 210:
            assert f"| {value} {name} |" in text
    assert f"New commands begin at {max(numbers) + 1}." in text


def test_every_command_of_the_command_line_is_described() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for name in cli.main.commands:
        assert f"`tidegate {name}" in text, name


def test_the_docs_protocol_works_in_any_split() -> None:
    names: dict[str, object] = {"__name__": "docs"}
    (code,) = (code for code in blocks(ROOT / "docs" / "workers.md", "python") if "class Reversed" in code)
    exec(compile(code, "workers.md", "exec"), names)
    codec = names["Reversed"]()  # type: ignore[operator]
    data = codec.encode(b"abc") + codec.encode(b"de")
    assert [message for byte in data for message in codec.feed(bytes([byte]))] == [b"abc", b"de"]

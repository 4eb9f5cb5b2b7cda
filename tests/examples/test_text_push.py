"""The inner text port: its scripts push to browsers, and neither browsers nor guesses do."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.browsers import needs_chromium
from tests.examples.conftest import OpenPage
from tests.examples.support import EXAMPLES, Example, import_file
from tests.ports import free_port
from tests.process.support import Lines, Place

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    place.environment.pop("PUSH_PASSWORD", None)
    example = Example(place, "text_push", {8000: 1, 7272: 1, 7273: 1, 1236: 1, 2900: 1, 3300: 1})
    (example.folder / ".password").unlink(missing_ok=True)
    example.start().ready()
    return example


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The app's module, with a place of its own for the password."""
    monkeypatch.delenv("PUSH_PASSWORD", raising=False)
    module = import_file("text_push/app.py")
    monkeypatch.setattr(module, "PASSWORD_FILE", tmp_path / "password")
    return module


def run(example: Example, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the example to its end, as its README says."""
    script, *others = arguments
    return subprocess.run(
        [sys.executable, f"examples/text_push/{script}", *others],
        cwd=example.place.folder,
        env={**example.place.environment, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def line(example: Example, **changes: Any) -> str:
    """What the script sends, with changes."""
    password = (example.folder / ".password").read_text()
    return json.dumps({"type": "send", "content": "hello", "user": "admin", "pass": password, **changes})


def push(example: Example, content: str) -> None:
    done = run(example, "push.py", content)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["type"] == "sent"


def open_connected(open_page: OpenPage, example: Example) -> Page:
    page = open_page(example.url(8000))
    expect_connected(page)
    return page


def expect_connected(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("Connected", timeout=15_000)


def expect_pushed(page: Page, *contents: str) -> None:
    """The newest first, and nothing else."""
    expect(page.locator("#pushes li span")).to_have_text(list(contents))


@needs_chromium
def test_what_a_script_pushes_is_on_every_page_as_text(example: Example, open_page: OpenPage) -> None:
    pages = [open_connected(open_page, example) for _ in range(2)]
    push(example, "hello all")
    push(example, MARKUP)
    for page in pages:
        expect_pushed(page, MARKUP, "hello all")
        assert page.locator("#pushes img").count() == 0


@needs_chromium
def test_the_timer_pushes_until_ctrl_c(example: Example, open_page: OpenPage) -> None:
    page = open_connected(open_page, example)
    timer = example.start("examples/text_push/timer.py", "0.1")
    expect(page.locator("#pushes li span").nth(2)).to_have_text(re.compile(r"^It is \d\d:\d\d:\d\d\.$"))
    timer.press_ctrl_c()
    assert timer.ends() == 0
    assert timer.err.read_text() == ""


@needs_chromium
def test_a_page_whose_gateway_is_killed_comes_back_and_gets_pushes(example: Example, open_page: OpenPage) -> None:
    page = open_connected(open_page, example)
    push(example, "before")
    expect_pushed(page, "before")
    (gateway,) = (row["pid"] for row in example.place.processes() if row["role"].startswith("websocket"))
    os.kill(gateway, signal.SIGKILL)
    expect(page.locator("#state")).to_have_attribute("data-state", "waiting")
    expect_connected(page)
    push(example, "after")
    expect_pushed(page, "after", "before")


@needs_chromium
def test_nothing_that_was_refused_reaches_a_page(example: Example, open_page: OpenPage) -> None:
    page = open_connected(open_page, example)
    with connect(example.url(7272, "ws"), proxy=None) as browser:
        browser.send(line(example, content="from a browser"))
        refusal = json.loads(browser.recv(10))
        assert refusal == {"type": "error", "message": "nothing can be pushed through this port"}
    with Lines(example.ports[7273]) as script:
        assert json.loads(script.ask(line(example, content="guessed", **{"pass": "guess"})))["type"] == "error"
    posted = f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n{line(example, content='from a web page')}\n"
    with socket.create_connection(("127.0.0.1", example.ports[7273]), 10) as web_page:
        web_page.sendall(posted.encode())
        assert b"sent" not in read_all(web_page)
    push(example, "by the script")
    expect_pushed(page, "by the script")


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side ends it, in whatever way."""
    found = b""
    try:
        while data := connection.recv(4096):
            found += data
    except ConnectionResetError:
        pass
    return found


def test_only_the_right_user_and_password_may_push(example: Example) -> None:
    password = (example.folder / ".password").read_text()
    wrong: list[dict[str, Any]] = [
        {"user": "root"},
        {"user": None},
        {"user": ["admin"]},
        {"pass": ""},
        {"pass": password[:-1]},
        {"pass": password + "x"},
        {"pass": [password]},
        {"pass": True},
        {"pass": "\ud800"},
    ]
    with Lines(example.ports[7273]) as script:
        for changes in wrong:
            answer = json.loads(script.ask(line(example, **changes)))
            assert answer == {"type": "error", "message": "the user or the password is wrong"}
        assert json.loads(script.ask(line(example)))["type"] == "sent"


def test_a_wrong_line_is_answered_with_an_error_and_the_next_one_is_served(example: Example) -> None:
    wrong = [
        "",
        "hello all",
        "[]",
        "[" * 20_000,
        line(example, type="say"),
        line(example, content=""),
        line(example, content=7),
        line(example, content=None),
        line(example, content="x" * 4001),
    ]
    with Lines(example.ports[7273]) as script:
        for each in wrong:
            assert json.loads(script.ask(each))["type"] == "error"
        assert script.ask('{"type":"ping"}') == '{"type":"pong"}'
        assert json.loads(script.ask(line(example)))["type"] == "sent"


def test_a_script_is_told_how_many_pages_there_are_and_does_not_get_its_own_push(example: Example) -> None:
    with connect(example.url(7272, "ws"), proxy=None) as page, Lines(example.ports[7273]) as script:
        page.send('{"type":"ping"}')
        assert page.recv(10) == '{"type":"pong"}'
        assert json.loads(script.ask(line(example)))["pages"] >= 1
        assert json.loads(page.recv(10))["content"] == "hello"
        assert script.ask('{"type":"ping"}') == '{"type":"pong"}'  # nothing came before it


def test_a_script_with_a_wrong_password_ends_with_1(example: Example) -> None:
    done = run(example, "push.py", "hello", PUSH_PASSWORD="guess")
    assert done.returncode == 1
    assert "password is wrong" in done.stdout


def test_a_script_that_finds_nobody_says_so_in_a_line(example: Example, tmp_path: Path) -> None:
    moved = re.sub(r"\b7273\b", str(free_port()), (EXAMPLES / "text_push" / "push.py").read_text())
    (tmp_path / "push.py").write_text(moved)
    done = example.place.python(str(tmp_path / "push.py"), "hello")  # and no .password beside it
    assert done.returncode == 1
    assert done.stderr.startswith("nothing was pushed: ")
    assert done.stderr.count("\n") == 1


def test_the_timer_wants_a_number_of_seconds(example: Example) -> None:
    for arguments in ((), ("soon",), ("0",), ("nan",), ("inf",)):
        done = run(example, "timer.py", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("usage: ")


def test_the_password_that_the_app_makes_is_for_its_owner_alone(example: Example) -> None:
    path = example.folder / ".password"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) > 30


def test_a_password_of_the_environment_is_taken_and_not_written_down(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSH_PASSWORD", "from outside")
    assert module.password() == "from outside"
    assert not module.PASSWORD_FILE.exists()


def test_a_password_that_was_made_is_kept_for_the_next_start(module: ModuleType) -> None:
    made = module.password()
    module.password.cache_clear()
    assert module.password() == made


def test_an_empty_file_is_no_password(module: ModuleType) -> None:
    module.PASSWORD_FILE.touch()
    with pytest.raises(RuntimeError, match="remove it"):
        module.password()

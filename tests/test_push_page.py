"""The push server as a person sees it: started by its command, used in a browser and from a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import launched, needs_chromium, watched
from tests.ports import free_port
from tidegate.push_server import Login, make_token

pytestmark = needs_chromium


class Server:
    """A `tidegate push-server` with a page."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.inner = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", "push-server", "--listen", f"websocket://127.0.0.1:{free_port()}",
             "--inner", f"text://127.0.0.1:{self.inner}", "--page", self.url, *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TIDEGATE_RUN_DIR": str(folder)},
        )  # fmt: skip
        assert self._process.stdout is not None
        self.said = ""
        for line in self._process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                return
        raise RuntimeError("it did not start")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        assert self._process.stdout is not None
        with self._process.stdout:
            assert self._process.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    problems = watched(page)
    yield page
    page.close()
    assert not problems


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="tg") as folder:
        server = Server(Path(folder))
        yield server
        server.stop()


def paste(page: Page) -> str:
    """Run the page's line in a shell."""
    line = page.inner_text("#command")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def test_the_start_says_which_page_to_open(server: Server) -> None:
    assert f"Open {server.url}" in server.said


def test_a_person_sees_the_message_that_the_pasted_line_pushes(server: Server, page: Page) -> None:
    page.goto(server.url)
    expect(page.locator("#state.open")).to_have_text("connected as uid1")
    assert paste(page) == "ok"
    expect(page.locator("#messages li span")).to_have_text(['{"uid":"uid1","percent":"88%"}'])


def test_names_with_quotes_and_markup_are_shown_as_text_and_pushed_to(server: Server, page: Page) -> None:
    page.goto(server.url)
    name = 'it\'s "me" <b>漢!</b> $HOME `x` \\n'
    page.fill("#uid", name)
    page.click("#login button")
    expect(page.locator("#state.open")).to_have_text(f"connected as {name}")
    assert paste(page) == "ok"
    expect(page.locator("#messages li")).to_have_count(1)
    assert page.locator("#messages b").count() == 0


def test_it_fits_a_phone(server: Server, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(server.url)
    expect(page.locator("#state.open")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_with_a_token_secret_the_page_asks_for_a_token(run_folder: Path, page: Page) -> None:
    server = Server(run_folder, "--token-secret", "s")
    try:
        page.goto(server.url)
        page.fill("#token", "wrong")
        page.click("#login button")
        expect(page.locator("#state")).to_have_text("wrong checkToken")
        page.fill("#token", make_token(Login("uid1"), "s", "hmac-sha256"))
        page.click("#login button")
        expect(page.locator("#state.open")).to_have_text("connected as uid1")
        assert paste(page) == "ok"
    finally:
        server.stop()

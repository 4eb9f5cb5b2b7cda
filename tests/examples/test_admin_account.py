"""The administrator's account: in browsers, and by clients that try to push without being one."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.browsers import needs_chromium
from tests.examples.conftest import OpenPage
from tests.examples.reconnecting import kill_gateways, until_back, watch_state
from tests.examples.support import EXAMPLES, Example
from tests.process.support import Place
from tidegate.errors import ConfigurationError

MARKUP = "<img src=x onerror=alert(1)>"
REFUSED = {"type": "error", "about": "push", "message": "Only an administrator may push: log in first."}


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    place.environment.pop("ADMIN_PASSWORD", None)
    example = Example(place, "admin_account", {8000: 1, 7272: 1, 1236: 1, 2900: 2})
    example.set(PAUSE=0.1)
    example.start().ready()
    return example


@pytest.fixture(scope="module")
def password(example: Example) -> str:
    """That which is printed at the start."""
    app = example.place.started[0]
    app.says("The administrator's password is ")
    found = re.search("password is (.+)\n", app.out.read_text())
    assert found
    return found[1]


class Client:
    """A connection that sends what it likes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.id = self.hears("init")["client_id"]

    def send(self, kind: str, **fields: object) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def next(self) -> dict[str, Any]:
        return dict(json.loads(self.socket.recv(10)))

    def hears(self, kind: str) -> dict[str, Any]:
        """The next message, which has to be of this type."""
        message = self.next()
        assert message["type"] == kind, message
        return message

    def has_heard_nothing(self) -> None:
        """Has it answered, behind whatever was sent to it before."""
        self.send("ping")
        self.hears("pong")


@pytest.fixture
def clients(example: Example) -> Iterator[list[Client]]:
    """Connections by both processes of the gateway, so that all ways of a push are there."""
    with contextlib.ExitStack() as stack:
        clients: list[Client] = []
        while len({client.id[:12] for client in clients}) < 2 or len(clients) < 4:
            clients.append(Client(stack.enter_context(connect(example.url(7272, "ws"), proxy=None))))
        yield clients


def nobody_hears(clients: list[Client], sender: Client) -> None:
    """A push by `sender` before this would have come to each of them, behind its answer."""
    sender.has_heard_nothing()
    for client in clients:
        client.has_heard_nothing()


# By clients


def test_what_an_administrator_pushes_comes_to_all_at_every_gateway_and_worker(
    clients: list[Client], password: str
) -> None:
    for admin in clients:
        admin.send("login", password=password)
        admin.hears("login")
    for number, admin in enumerate(clients):
        admin.send("push", text=f" news {number}\n")
        for client in clients:
            if client is admin:
                continue
            assert client.hears("message")["text"] == f"news {number}"
        assert {admin.next()["type"], admin.next()["type"]} == {"message", "pushed"}


def test_who_has_not_logged_in_pushes_to_nobody(clients: list[Client]) -> None:
    sender = clients[0]
    sender.send("push", text="forged")
    assert sender.next() == REFUSED
    nobody_hears(clients, sender)


def test_who_has_logged_out_pushes_to_nobody(clients: list[Client], password: str) -> None:
    sender = clients[0]
    sender.send("login", password=password)
    sender.send("logout")
    sender.send("push", text="forged")
    assert [sender.next()["type"] for _ in range(2)] == ["login", "logout"]
    assert sender.next() == REFUSED
    nobody_hears(clients, sender)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "message", "text": "forged", "time": "2026-01-01T00:00:00+00:00"},
        {"type": "login", "admin": True},
        {"type": "login", "password": True},
        {"type": "login", "password": None},
        {"type": "login", "password": ["x"]},
        {"type": ["push"], "text": "forged"},
        {"type": "push", "text": ["forged"]},
        {"session": {"admin": True}},
        {"admin": True, "type": "push", "text": "forged", "session": {"admin": True}},
        ["push", "forged"],
        "push",
        None,
    ],
)
def test_nobody_becomes_an_administrator_by_saying_so(clients: list[Client], message: object) -> None:
    sender = clients[0]
    sender.socket.send(json.dumps(message))
    assert sender.next()["type"] == "error"
    sender.send("push", text="forged")
    assert sender.next() == REFUSED
    nobody_hears(clients, sender)


@pytest.mark.parametrize("message", ["", "{", "[" * 9000, b"\xff\xfe\x00", b'{"type":"login","password":"\xff"}'])
def test_what_is_no_json_harms_nobody(clients: list[Client], message: str | bytes) -> None:
    clients[0].socket.send(message)
    assert clients[0].next()["message"] == "That is no message of this page."
    nobody_hears(clients, clients[0])


def test_a_password_is_the_whole_password(clients: list[Client], password: str) -> None:
    wrong = ["", password[:-1], password + " ", password.swapcase(), "\ud800", "pässword"]
    tries = [
        (client, attempt)
        for client, pair in zip(clients, (wrong[:2], wrong[2:4], wrong[4:]), strict=False)
        for attempt in pair
    ]
    for client, attempt in tries:
        client.send("login", password=attempt)
    for client, _ in tries:
        assert client.hears("error")["about"] == "login"
        client.send("push", text="forged")
    for client in clients[:3]:
        assert [client.next(), client.next()] == [REFUSED] * 2


def test_after_three_wrong_passwords_a_client_is_closed_and_what_it_sent_behind_them_counts_for_nothing(
    clients: list[Client], password: str
) -> None:
    sender, *others = clients
    for wrong in ("a", "b", "c"):
        sender.send("login", password=wrong)
    sender.send("login", password=password)
    sender.send("push", text="forged")
    assert [sender.hears("error")["message"].split()[-1] for _ in range(3)] == ["2.", "1.", "many."]
    with pytest.raises(ConnectionClosed):
        sender.next()
    others[0].send("login", password=password)
    others[0].send("push", text="the first that is heard")
    others[0].hears("login")
    for client in others[1:]:
        assert client.hears("message")["text"] == "the first that is heard"


def test_the_right_password_forgives_the_wrong_ones_before_it(clients: list[Client], password: str) -> None:
    for attempt in ("a", "b", password, "c"):
        clients[0].send("login", password=attempt)
    assert [clients[0].next()["type"] for _ in range(4)] == ["error", "error", "login", "error"]
    clients[0].has_heard_nothing()


@pytest.mark.parametrize("text", ["", " \n", "x" * 1001])
def test_a_message_has_a_text_of_some_length(clients: list[Client], password: str, text: str) -> None:
    clients[0].send("login", password=password)
    clients[0].hears("login")
    clients[0].send("push", text=text)
    assert clients[0].hears("error")["message"] == "A message has 1 to 1000 characters."
    nobody_hears(clients, clients[0])


def test_who_is_an_administrator_is_remembered_when_other_workers_take_over(
    example: Example, clients: list[Client], password: str
) -> None:
    clients[0].send("login", password=password)
    clients[0].hears("login")
    example.place.do("reload")
    clients[0].send("push", text="after the reload")
    for client in clients[1:]:
        assert client.hears("message")["text"] == "after the reload"


# The password


def test_a_password_that_was_made_is_kept_where_only_its_owner_reads_it(example: Example, password: str) -> None:
    file = example.folder / "admin-password"
    assert file.read_text() == f"{password}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in example.folder.glob(".admin*")] == []
    assert len(password) >= 16


def test_a_password_of_the_environment_comes_before_one_that_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "sésame")
    app = imported(EXAMPLES / "admin_account" / "app.py")
    monkeypatch.setattr(app, "PASSWORD_FILE", tmp_path / "admin-password")
    assert app.read_password() == "sésame".encode()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("ADMIN_PASSWORD", "")
    made = app.read_password()
    app.make_password()  # another process, at the same time
    assert made == app.read_password()
    app.PASSWORD_FILE.write_text("\n")
    with pytest.raises(ConfigurationError, match="holds no password"):
        app.read_password()


def imported(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("admin_account", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# In browsers


def come(open_page: OpenPage, example: Example) -> Page:
    page = open_page(example.url(8000))
    expect(page.locator("#state")).to_have_text("Connected")
    return page


def log_in(page: Page, password: str) -> None:
    if not page.get_by_label("Password").is_visible():
        page.get_by_text("Administrator").click()
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def push(page: Page, text: str) -> None:
    page.get_by_label("To everybody").fill(text)
    page.keyboard.press("Enter")
    expect(page.get_by_label("To everybody")).to_have_value("")


def expect_shown(page: Page, *texts: str) -> None:
    expect(page.locator("#log p")).to_have_text(list(texts))


@needs_chromium
def test_an_administrator_pushes_to_every_page(example: Example, open_page: OpenPage, password: str) -> None:
    guest, admin = come(open_page, example), come(open_page, example)
    expect(admin.get_by_label("To everybody")).to_be_hidden()
    log_in(admin, password)
    push(admin, "the shop closes in five minutes")
    push(admin, MARKUP)
    for page in (admin, guest):
        expect_shown(page, MARKUP, "the shop closes in five minutes")
        assert page.locator("img").count() == 0
    expect(guest.get_by_label("To everybody")).to_be_hidden()
    admin.get_by_role("button", name="Log out").click()
    expect(admin.get_by_label("Password")).to_have_value("")
    expect(admin.get_by_label("To everybody")).to_be_hidden()


@needs_chromium
def test_a_page_says_that_a_password_is_wrong_and_comes_back_when_it_is_closed(
    example: Example, open_page: OpenPage, password: str
) -> None:
    page = come(open_page, example)
    watch_state(page)
    for left in ("Tries left: 2.", "Tries left: 1.", "too many."):
        log_in(page, "wrong")
        expect(page.get_by_role("alert").first).to_contain_text(left)
    until_back(page)
    log_in(page, password)
    push(page, "at last")
    expect_shown(page, "at last")


@needs_chromium
def test_after_the_gateways_die_pages_come_back_and_the_administrator_is_one_again(
    example: Example, open_page: OpenPage, password: str
) -> None:
    guest, admin = come(open_page, example), come(open_page, example)
    log_in(admin, password)
    push(admin, "before")
    expect_shown(guest, "before")
    kill_gateways(example.place, guest, admin)
    expect(admin.get_by_role("button", name="Push")).to_be_enabled()
    push(admin, "after")
    for page in (guest, admin):
        expect_shown(page, "after", "before")

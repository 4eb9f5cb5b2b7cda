"""The FastAPI room: in browsers, by requests that no page of its sends, and under another server than ours."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import re
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.sync.client import ClientConnection, connect

from tests.browsers import needs_chromium
from tests.examples.conftest import OpenPage
from tests.examples.reconnecting import kill_gateways
from tests.examples.support import Example
from tests.ports import free_port
from tests.process.support import Place

SECRET = "for the test"
MARKUP = "<img src=x onerror=alert(1)>"
NOBODY = "7f0000010b54ffffffff"


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    place.environment["SITE_SECRET"] = SECRET
    example = Example(place, "fastapi_room", {8000: 1, 7272: 1, 1236: 1, 2900: 1})
    example.start().ready()
    return example


class Visitor:
    """Somebody who makes requests without a browser."""

    def __init__(self, port: int, name: str = "") -> None:
        self.port, self.cookie, self.uid = port, "", ""
        if name:
            self.uid = self.ask("/login", {"name": name})["uid"]

    def request(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """GET, or POST a body as JSON; gives the status and the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json", "Cookie": self.cookie, **names}
        connection.request("GET" if data is None else "POST", path, data, all_headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        cookie = response.getheader("Set-Cookie")
        if cookie:
            self.cookie = cookie.partition(";")[0]
        return response.status, json.loads(text) if text else None

    def ask(self, path: str, body: object = None) -> Any:
        """The same for what has to work."""
        status, answer = self.request(path, body)
        assert status in (200, 204), answer
        return answer

    def names(self) -> list[str]:
        return [user["name"] for user in self.ask("/people")]


class Connection:
    """A page's connection without a page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        init = json.loads(socket.recv(10))
        assert init.pop("type") == "init"
        self.init: dict[str, str] = init

    @classmethod
    @contextlib.contextmanager
    def made(cls, example: Example) -> Iterator[Connection]:
        with connect(example.url(7272, "ws"), proxy=None) as socket:
            yield cls(socket)

    def hears(self, text: str) -> dict[str, Any]:
        """Wait for something said; nothing else may have been said before."""
        while (message := json.loads(self.socket.recv(10)))["type"] != "say":
            pass
        assert message["text"] == text
        return dict(message)


@pytest.fixture
def visitor(example: Example) -> Visitor:
    return Visitor(example.ports[8000], "Vera")


@pytest.fixture
def connection(example: Example) -> Iterator[Connection]:
    with Connection.made(example) as connection:
        yield connection


def come_in(open_page: OpenPage, example: Example, name: str) -> Page:
    page = open_page(example.url(8000))
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect_connected(page)
    expect(page.locator("#people li").filter(has_text=f"{name} (you)")).to_be_visible()
    return page


def second_tab(page: Page) -> Page:
    tab = page.context.new_page()
    tab.goto(page.url)
    expect_connected(tab)
    return tab


def expect_connected(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("Connected")


def say(page: Page, text: str, to: str = "Everyone") -> None:
    page.get_by_label("To", exact=True).select_option(to)
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def expect_said(page: Page, *texts: str) -> None:
    expect(page.locator("#log .text")).to_have_text(list(texts))


# In browsers


@needs_chromium
def test_people_talk_to_all_and_to_one_alone_in_each_of_their_tabs(example: Example, open_page: OpenPage) -> None:
    ada, grace, third = (come_in(open_page, example, name) for name in ("Ada", "Grace", "Third"))
    tab = second_tab(grace)
    say(ada, "for all")
    for page in (ada, grace, tab, third):
        expect_said(page, "for all")
    say(ada, "between us", to="Grace")
    for page in (ada, grace, tab):
        expect_said(page, "for all", "between us")
        expect(page.locator("#log li").last).to_have_class(re.compile("private"))
    say(third, "last")
    expect_said(third, "for all", "last")
    expect(ada.get_by_label("Message", exact=True)).to_have_value("")
    tab.get_by_role("button", name="Leave").click()
    expect(grace.get_by_role("button", name="Come in")).to_be_visible()
    expect(ada.locator("#people li")).to_have_text(["Ada (you)", "Third"])


@needs_chromium
def test_what_is_meant_for_one_never_goes_to_all_because_they_left(example: Example, open_page: OpenPage) -> None:
    ada, grace = (come_in(open_page, example, name) for name in ("Ada", "Grace"))
    say(ada, "hello", to="Grace")
    expect_said(grace, "hello")
    grace.close()
    expect(ada.locator("#people li")).to_have_text(["Ada (you)"])
    expect(ada.get_by_label("To", exact=True).locator("option:checked")).to_have_text("Grace")
    say(ada, "my secret", to="Grace")
    expect(ada.get_by_role("alert")).to_have_text("They are not here any more.")
    expect(ada.get_by_label("Message", exact=True)).to_have_value("my secret")


@needs_chromium
def test_names_and_texts_with_markup_are_shown_as_text(example: Example, open_page: OpenPage) -> None:
    name = MARKUP[:24]
    page = come_in(open_page, example, name)
    say(page, MARKUP)
    expect_said(page, MARKUP)
    expect(page.locator("#people li")).to_have_text([f"{name} (you)"])
    assert page.locator("img").count() == 0


@needs_chromium
def test_after_the_gateway_dies_pages_are_bound_again(example: Example, open_page: OpenPage) -> None:
    ada, grace = (come_in(open_page, example, name) for name in ("Ada", "Grace"))
    kill_gateways(example.place, ada, grace)
    for page, names in ((ada, ["Ada (you)", "Grace"]), (grace, ["Ada", "Grace (you)"])):
        expect(page.locator("#people li")).to_have_text(names)
    say(ada, "you are back", to="Grace")
    expect_said(grace, "you are back")
    say(grace, "for all")
    for page in (ada, grace):
        expect_said(page, "you are back", "for all")


# By requests


def test_a_connection_is_bound_once_bind_has_answered(visitor: Visitor, connection: Connection) -> None:
    visitor.ask("/bind", connection.init)
    assert "Vera" in visitor.names()
    visitor.ask("/send", {"text": "to me", "to": visitor.uid})
    assert connection.hears("to me")["uid"] == visitor.uid
    visitor.ask("/send", {"text": "to all"})
    assert connection.hears("to all")["to"] is None


def test_a_connection_is_bound_to_who_is_logged_in_whatever_the_request_says(
    example: Example, visitor: Visitor, connection: Connection
) -> None:
    other = Visitor(example.ports[8000], "Other")
    visitor.ask("/bind", {**connection.init, "uid": other.uid, "name": "Other"})
    assert other.request("/send", {"text": "x", "to": other.uid})[0] == 404
    other.ask("/send", {"text": "to Vera", "to": visitor.uid, "uid": visitor.uid, "name": "Vera"})
    assert connection.hears("to Vera")["name"] == "Other"


def test_nobody_binds_a_connection_that_is_another_ones(
    example: Example, visitor: Visitor, connection: Connection
) -> None:
    thief, client_id = Visitor(example.ports[8000], "Thief"), connection.init["client_id"]
    with Connection.made(example) as own:
        for ticket in (own.init["ticket"], "", "é"):
            assert thief.request("/bind", {"client_id": client_id, "ticket": ticket})[0] == 403
    visitor.ask("/bind", connection.init)
    assert "Thief" not in visitor.names()


@pytest.mark.parametrize(
    "client_id", ["", "x", NOBODY + "\n", NOBODY.upper(), NOBODY + "0", 7, None, [NOBODY], "\ud800"]
)
def test_what_is_no_client_id_is_refused(visitor: Visitor, client_id: object) -> None:
    status, answer = visitor.request("/bind", {"client_id": client_id, "ticket": ""})
    assert status == 422
    assert answer["detail"].startswith("client_id: ")


def test_a_connection_that_has_ended_is_not_bound(visitor: Visitor, example: Example) -> None:
    gone = f"7f000001{example.ports[2900]:04x}00000000"
    assert visitor.request("/bind", {"client_id": gone, "ticket": ""}) == (
        404,
        {"detail": "That connection has ended."},
    )


def test_what_is_not_signed_is_no_login(example: Example, visitor: Visitor, connection: Connection) -> None:
    stranger = Visitor(example.ports[8000])
    body, _, signature = visitor.cookie.partition("=")[2].partition(".")
    for cookie in ("", "x", "é", f"{body}.", f".{signature}", f"{body}x.{signature}", f"{body}.{signature[:-1]}x"):
        stranger.cookie = f"fastapi_room={cookie}".encode().decode("latin-1")
        assert stranger.ask("/me") is None
        for path, request in (("/bind", connection.init), ("/send", {"text": "x"}), ("/people", None)):
            assert stranger.request(path, request) == (401, {"detail": "Log in first."})


@pytest.mark.parametrize(("seconds", "is_in"), [(60, True), (-1, False)])
def test_a_login_ends_by_itself(example: Example, seconds: int, is_in: bool) -> None:
    user = {"uid": "7", "name": "Ada"}
    body = base64.urlsafe_b64encode(json.dumps({**user, "until": time.time() + seconds}).encode())
    visitor = Visitor(example.ports[8000])
    visitor.cookie = f"fastapi_room={body.decode()}.{hmac.new(SECRET.encode(), body, 'sha256').hexdigest()}"
    assert visitor.ask("/me") == (user if is_in else None)


def test_the_gateway_takes_nothing_from_clients(visitor: Visitor, connection: Connection) -> None:
    visitor.ask("/bind", connection.init)
    for message in ("hello", b"\xff\x00", json.dumps({"type": "say", "text": "x"})):
        connection.socket.send(message)
    connection.socket.ping().wait(10)
    visitor.ask("/send", {"text": "the first that is heard"})
    connection.hears("the first that is heard")


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 9000, b'{"text":"\\ud800"}', b'{"text":" "}', b'{"text":7}',
                                  b'{"text":"x","to":""}', b'{"text":"x","to":7}'])  # fmt: skip
def test_what_is_no_message_is_refused(visitor: Visitor, body: bytes) -> None:
    status, answer = visitor.request("/send", body)
    assert status in (400, 422)
    assert isinstance(answer["detail"], str)


@pytest.mark.parametrize("name", ["", " \u202e\n", "x" * 25])
def test_a_name_is_one_line_that_can_be_seen(example: Example, name: str) -> None:
    status, answer = Visitor(example.ports[8000]).request("/login", {"name": name})
    assert status == 422
    assert "1 to 24 characters" in answer["detail"]


def test_what_another_sites_page_sends_is_refused(visitor: Visitor) -> None:
    for site in ("cross-site", "same-site"):
        assert visitor.request("/send", {"text": "x"}, Sec_Fetch_Site=site)[0] == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert visitor.request("/send", {"text": "x"}, Content_Type=kind)[0] == 422


def test_a_request_is_not_read_where_it_is_too_long(visitor: Visitor) -> None:
    assert visitor.request("/send", {"text": "x" * 10_000})[0] == 413


# Under uvicorn


def test_under_uvicorn_it_pushes_as_well_and_knows_the_same_logins(
    example: Example, visitor: Visitor, connection: Connection
) -> None:
    visitor.port = serve(example)
    visitor.ask("/bind", connection.init)
    visitor.ask("/send", {"text": "from uvicorn"})
    connection.hears("from uvicorn")
    visitor.ask("/logout", {})
    assert visitor.ask("/me") is None


def test_without_a_cluster_it_says_so(
    example: Example, place: Place, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(place.environment, "TIDEGATE_CLUSTER", f"127.0.0.1:{free_port()}")
    visitor = Visitor(serve(example), "Vera")
    for path, body in (("/bind", connection.init), ("/send", {"text": "x"}), ("/people", None)):
        status, answer = visitor.request(path, body)
        assert status == 503
        assert answer == {"detail": "The push service does not answer. Try again."}
    visitor.ask("/logout", {})


def serve(example: Example) -> int:
    """Serve the site alone; gives the port."""
    port = free_port()
    uvicorn = ("-m", "uvicorn", "app:site", "--app-dir", str(example.folder), "--port", str(port))
    example.place.launch(sys.executable, *uvicorn).says("running on")
    return port

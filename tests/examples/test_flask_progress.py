"""The Flask job that reports: in browsers, by requests that no page of its sends, and under Flask's own servers."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from websockets.sync.client import ClientConnection, connect

from tests.browsers import needs_chromium
from tests.examples.conftest import OpenPage
from tests.examples.support import Example, import_file, is_open
from tests.ports import free_port
from tests.process.support import Place, until

SITE = "examples/flask_progress/website.py"
SECRET = "for the test"
LONG = 500
"""Photos of a job that is not over before its test."""
SEEN = """
  window.seen = [];
  new MutationObserver(() => seen.push(document.getElementById("percent").textContent))
    .observe(document.getElementById("percent"), { childList: true });
"""


@pytest.fixture(scope="module")
def example(place: Place) -> Example:
    place.environment["SITE_SECRET"] = SECRET
    example = Example(place, "flask_progress", {8000: 1, 7272: 1, 1236: 1, 2900: 1})
    example.start().ready()
    return example


class Visitor:
    """Somebody who makes requests without a browser."""

    def __init__(self, port: int) -> None:
        self.port, self.cookie, self.set_cookie = port, "", ""

    @classmethod
    def of(cls, port: int) -> Visitor:
        """One who has been on the page."""
        visitor = cls(port)
        assert visitor.get()[0] == 200
        return visitor

    def get(self) -> tuple[int, str]:
        return self._request("GET", "/", None, {})

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """Post a body, as JSON if it is no bytes; gives the status and the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        status, text = self._request("POST", path, data, {"Content-Type": "application/json", **names})
        return status, json.loads(text)

    def state(self) -> Any:
        """What a page is told when it is loaded."""
        found = re.search("data-progress='(.*?)'", self.get()[1])
        assert found
        return json.loads(found[1])

    def is_done(self) -> bool:
        progress = self.state()
        return progress is not None and progress["state"] == "done"

    def _request(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, data, {"Cookie": self.cookie, **headers})
        response = connection.getresponse()
        text = response.read().decode()
        self.set_cookie = response.getheader("Set-Cookie") or ""
        if self.set_cookie:
            self.cookie = self.set_cookie.partition(";")[0]
        connection.close()
        return response.status, text


@pytest.fixture
def visitor(example: Example) -> Visitor:
    return Visitor.of(example.ports[8000])


@pytest.fixture
def socket(example: Example) -> Iterator[ClientConnection]:
    with connect(example.url(7272, "ws"), proxy=None) as socket:
        yield socket


def introduced(socket: ClientConnection) -> dict[str, str]:
    """What a page posts to /bind."""
    init: dict[str, str] = json.loads(socket.recv(10))
    assert init.pop("type") == "init"
    return init


def hear(socket: ClientConnection) -> list[dict[str, Any]]:
    """What is pushed until a job is done."""
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["state"] == "running":
        heard.append(json.loads(socket.recv(10)))
    return heard


# In browsers


def open_connected(where: BrowserContext | OpenPage, example: Example) -> Page:
    if isinstance(where, BrowserContext):  # a second tab
        page = where.new_page()
        page.goto(example.url(8000))
    else:
        page = where(example.url(8000))
    expect(page.locator("#state")).to_have_text("Connected")
    return page


def start_import(page: Page, photos: int) -> None:
    page.get_by_label("Photos").fill(str(photos))
    page.keyboard.press("Enter")


def percent(page: Page) -> int:
    return int(page.locator("#percent").inner_text().removesuffix("%").replace("–", "0"))


def expect_done(page: Page) -> None:
    expect(page.locator("#percent")).to_have_text("100%", timeout=10_000)
    expect(page.locator("#job")).to_have_attribute("data-state", "done")
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 100
    expect(page.get_by_role("button", name="Import")).to_be_enabled()


@needs_chromium
def test_each_tab_of_the_user_draws_the_progress_and_nobody_elses(example: Example, open_page: OpenPage) -> None:
    first, stranger = open_connected(open_page, example), open_connected(open_page, example)
    second = open_connected(first.context, example)
    for page in (first, second):
        page.evaluate(SEEN)
    start_import(first, 4)
    for page in (first, second):
        expect_done(page)
        assert list(dict.fromkeys(page.evaluate("seen"))) == ["0%", "25%", "50%", "75%", "100%"]
    expect(stranger.locator("#percent")).to_have_text("–")


@needs_chromium
def test_a_page_that_is_opened_or_reloaded_midway_shows_where_the_job_is(example: Example, open_page: OpenPage) -> None:
    page = open_connected(open_page, example)
    start_import(page, LONG)
    until(lambda: percent(page) >= 2)
    expect(page.get_by_role("button", name="Import")).to_be_disabled()
    tab = page.context.new_page()
    tab.goto(example.url(8000))
    page.reload()
    shown = [percent(tab), percent(page)]
    assert min(shown) >= 2
    until(lambda: percent(tab) > shown[0] and percent(page) > shown[1])


@needs_chromium
def test_a_page_whose_gateway_is_killed_comes_back_to_the_job(example: Example, open_page: OpenPage) -> None:
    page, logged_out = open_connected(open_page, example), open_connected(open_page, example)
    logged_out.context.clear_cookies()
    start_import(page, LONG)
    until(lambda: percent(page) > 0)
    (gateway,) = (row["pid"] for row in example.place.processes() if row["role"].startswith("websocket"))
    os.kill(gateway, signal.SIGKILL)
    expect(page.locator("#state")).to_have_attribute("data-state", "waiting")
    expect(page.locator("#state")).to_have_text("Connected", timeout=15_000)
    back = percent(page)
    until(lambda: percent(page) > back)
    expect(logged_out.get_by_role("alert")).to_contain_text("Reload the page")
    expect(logged_out.locator("#state")).to_have_text("Not connected")


@needs_chromium
def test_what_the_site_refuses_is_said_on_the_page(example: Example, open_page: OpenPage) -> None:
    page = open_connected(open_page, example)
    page.locator("#photos").evaluate("input => input.removeAttribute('max')")
    page.locator("#photos").fill("501")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The number of photos is 1 to 500.")
    page.context.clear_cookies()
    page.locator("#photos").fill("5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Reload the page")
    page.reload()
    expect(page.locator("#state")).to_have_text("Connected")
    start_import(page, 1)
    expect_done(page)


# By requests


def test_a_job_reports_its_users_uid_and_the_per_cent(visitor: Visitor, socket: ClientConnection) -> None:
    assert visitor.post("/bind", introduced(socket)) == (200, None)
    status, started = visitor.post("/jobs", {"photos": 4})
    assert status == 202
    heard = hear(socket)
    assert [message["percent"] for message in heard] == ["0%", "25%", "50%", "75%", "100%", "100%"]
    assert {message["uid"] for message in heard} == {started["uid"]}
    assert visitor.state() == heard[-1]


def test_a_user_has_one_job_at_a_time(visitor: Visitor) -> None:
    assert visitor.post("/jobs", {"photos": 1})[0] == 202
    until(visitor.is_done)
    assert visitor.post("/jobs", {"photos": LONG})[0] == 202
    status, answer = visitor.post("/jobs", {"photos": 1})
    assert (status, answer) == (429, {"error": "A job of yours is running already."})


def test_nobody_can_bind_somebody_elses_connection(visitor: Visitor, socket: ClientConnection) -> None:
    init = introduced(socket)
    for ticket in ("", "guess", init["ticket"][:-1], "\ud800", "é"):
        assert visitor.post("/bind", {**init, "ticket": ticket})[0] in (400, 403)
    gone = f"{(int(init['client_id'], 16) ^ 0x7FFF):020x}"
    assert visitor.post("/bind", {**init, "client_id": gone})[0] == 403
    assert visitor.post("/jobs", {"photos": 1})[0] == 202
    until(visitor.is_done)
    socket.send('{"type":"ping"}')
    assert socket.recv(10) == '{"type":"pong"}'  # and nothing before it


def test_the_user_is_who_the_signed_cookie_says(example: Example, visitor: Visitor) -> None:
    body, _, signature = visitor.cookie.rpartition(".")
    for cookie in ("", f"{body}.{signature[::-1]}", "flask_progress=eyJ1aWQiOiJraW0ifQ.aaaa.bbbb"):
        forger = Visitor(example.ports[8000])
        forger.cookie = cookie
        for path in ("/jobs", "/bind"):
            assert forger.post(path, {"photos": 1, "uid": "kim"})[0] == 401


def test_other_sites_pages_can_not_post_in_a_users_name(example: Example, visitor: Visitor) -> None:
    newcomer = Visitor.of(example.ports[8000])
    assert "HttpOnly" in newcomer.set_cookie
    assert "SameSite=Lax" in newcomer.set_cookie
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert visitor.post("/jobs", {"photos": 1}, Content_Type=kind)[0] == 415
    assert visitor.state() is None


def test_wrong_requests_are_refused_with_a_reason(visitor: Visitor) -> None:
    wrong: list[tuple[str, object, int]] = [
        ("/jobs", b"", 400),
        ("/jobs", b"{", 400),
        ("/jobs", b"[" * 500, 400),
        ("/jobs", b"\xff", 400),
        ("/jobs", [5], 400),
        ("/jobs", {"photos": 1, "more": "x" * 600}, 413),
        *(("/jobs", {"photos": photos}, 422) for photos in (None, 0, -1, 501, 1e999, 1.5, "7", True, [1])),
        ("/bind", {}, 400),
        ("/bind", {"client_id": 7, "ticket": "x"}, 400),
        ("/bind", {"client_id": "x", "ticket": "x"}, 400),
        ("/nowhere", {}, 404),
        ("/", {}, 405),
    ]
    for path, body, expected in wrong:
        status, answer = visitor.post(path, body)
        assert status == expected, (path, body, answer)
        assert answer["error"]
    assert visitor.state() is None


# Under Flask's own servers


def test_under_flask_and_without_a_cluster_the_job_goes_on_and_is_logged(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setitem(example.place.environment, "TIDEGATE_CLUSTER", f"127.0.0.1:{free_port()}")
    flask = example.start("-m", "flask", "--app", SITE, "run", "--port", str(port))
    until(lambda: is_open(port))
    visitor = Visitor.of(port)
    status, answer = visitor.post("/bind", {"client_id": "7f0000010b5400000001", "ticket": "x"})
    assert (status, answer) == (503, {"error": "The push service does not answer."})
    assert visitor.post("/jobs", {"photos": 2})[0] == 202
    until(visitor.is_done)
    flask.says("100% of user")
    assert "Traceback" not in flask.err.read_text()
    assert visitor.post("/jobs", {"photos": 500})[0] == 202
    flask.press_ctrl_c()
    flask.ends()  # without waiting for the job


def test_under_gunicorn_it_pushes_to_the_same_cluster(example: Example, socket: ClientConnection) -> None:
    port = free_port()
    gunicorn = example.start(
        *("-m", "gunicorn", "--chdir", "examples/flask_progress", "--threads", "8"),
        *("--bind", f"127.0.0.1:{port}", "website:site"),
    )
    until(lambda: is_open(port))
    visitor = Visitor.of(port)
    assert visitor.post("/bind", introduced(socket)) == (200, None)
    assert visitor.post("/jobs", {"photos": 2})[0] == 202
    assert hear(socket)[-1]["percent"] == "100%"
    os.kill(gunicorn.pid, signal.SIGTERM)
    assert gunicorn.ends() == 0


# Jobs alone


class Told:
    """What jobs report, and work that goes on when it is let."""

    def __init__(self, jobs: ModuleType) -> None:
        self.progress: list[Any] = []
        self.jobs = jobs.Jobs(self.progress.append)
        self.go_on = threading.Event()

    def work(self) -> Iterator[int]:
        yield 50
        assert self.go_on.wait(10)

    def ended(self, uid: str) -> bool:
        return bool(self.jobs.latest(uid).state != "running")


@pytest.fixture
def jobs() -> ModuleType:
    return import_file("flask_progress/jobs.py")


@pytest.fixture
def told(jobs: ModuleType) -> Iterator[Told]:
    told = Told(jobs)
    yield told
    told.go_on.set()


def test_only_what_changes_is_reported(told: Told) -> None:
    told.jobs.start("kim", [0, 0, 33, 33, 66])
    until(lambda: told.ended("kim"))
    until(lambda: told.progress[-1].state == "done")
    assert [each.percent for each in told.progress] == ["0%", "33%", "66%", "100%"]


def test_a_job_that_fails_says_so_and_the_next_may_start(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Iterator[int]:
        yield 40
        raise ZeroDivisionError("in the work")

    told.jobs.start("kim", fail())
    until(lambda: told.progress[-1:] and told.progress[-1].state == "failed")
    assert told.progress[-1].percent == "40%"
    assert "in the work" in caplog.text
    told.jobs.start("kim", [])


def test_no_more_jobs_run_at_once_than_there_may(jobs: ModuleType, told: Told) -> None:
    for number in range(jobs.MAX_RUNNING):
        told.jobs.start(f"user {number}", told.work())
    with pytest.raises(jobs.BusyError, match="Too many"):
        told.jobs.start("one more", told.work())
    assert told.jobs.latest("one more") is None
    told.go_on.set()
    until(lambda: told.ended("user 0"))
    told.jobs.start("one more", told.work())


def test_who_started_a_job_the_longest_time_ago_is_forgotten_unless_it_runs(
    jobs: ModuleType, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_KNOWN", 3)
    told.jobs.start("runs", told.work())
    for uid in ("a", "b", "c", "d"):
        told.jobs.start(uid, [])
        until(until_ended(told, uid))
    assert [uid for uid in ("runs", "a", "b", "c", "d") if told.jobs.latest(uid)] == ["runs", "c", "d"]


def until_ended(told: Told, uid: str) -> Callable[[], bool]:
    return lambda: told.ended(uid)

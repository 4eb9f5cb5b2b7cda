"""The chat room as people see it: in a browser, in several windows, on a phone, and when a process dies."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import launched, needs_chromium, watched
from tests.demo.support import Demo

MARKUP = "<img src=x onerror=alert(1)>"

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


Watched = tuple[Page, list[str]]
"""A window and what went wrong in it."""


@pytest.fixture(scope="module")
def empty(browser: Browser) -> list[Watched]:
    """Windows that other tests have left."""
    return []


@pytest.fixture
def window(demo: Demo, room: str, browser: Browser, empty: list[Watched]) -> Iterator[Callable[..., Page]]:
    """What opens the page in a window of its own, and enters the room."""
    pages: list[Watched] = []

    def open_window(name: str = "") -> Page:
        if not empty:
            page = browser.new_page(viewport={"width": 1000, "height": 700})
            empty.append((page, watched(page)))
        pages.append(empty.pop())
        page = pages[-1][0]
        page.goto(demo.url)
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Room").fill(room)
        page.keyboard.press("Enter")
        expect(page.locator("#state")).to_have_text("Connected")
        return page

    yield open_window
    for page, _ in pages:
        if not page.is_closed():
            page.goto("about:blank")
    assert not any(problems for _, problems in pages)
    empty += [left for left in pages if not left[0].is_closed()]


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def said(page: Page) -> list[str]:
    return page.locator("#log .text").all_inner_texts()


def expect_said(page: Page, *texts: str) -> None:
    expect(page.locator("#log .text")).to_have_text(list(texts))


def expect_here(page: Page, *names: str) -> None:
    expect(page.locator("#members .name")).to_have_text(list(names))


def test_two_windows_talk_and_see_who_comes_and_goes(window: Callable[..., Page]) -> None:
    ada = window("Ada")
    expect_here(ada, "Ada")
    guest = window()
    name = guest.locator("#members .name").first.inner_text()
    assert re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+", name)
    expect_here(guest, name, "Ada")
    expect_here(ada, "Ada", name)
    expect(ada.locator(".note").last).to_contain_text(f"{name} came in")
    say(ada, "hello, everybody")
    say(guest, "hello, Ada")
    for page in (ada, guest):
        expect_said(page, "hello, everybody", "hello, Ada")
    expect(guest.locator(".message b").first).to_have_text("Ada")
    guest.get_by_role("button", name="Leave").click()
    expect(guest.get_by_role("button", name="Join the room")).to_be_visible()
    expect(ada.locator(".note").last).to_contain_text(f"{name} left")
    expect_here(ada, "Ada")


def test_what_is_said_to_one_is_seen_by_two_and_never_goes_to_all_because_they_left(
    window: Callable[..., Page],
) -> None:
    ada, grace, third = window("Ada"), window("Grace"), window("Third")
    ada.get_by_role("button", name="Grace").click()
    say(ada, "between us")
    for page in (ada, grace):
        expect_said(page, "between us")
        expect(page.locator(".message")).to_have_class(re.compile("private"))
    ada.get_by_label("To").select_option("Everyone")
    say(ada, "for all")
    expect_said(third, "for all")
    ada.get_by_label("To").select_option("Grace")
    grace.close()
    expect(ada.get_by_role("alert")).to_contain_text("has left")
    say(ada, "my secret")
    expect(ada.get_by_role("button", name="Send")).to_be_disabled()
    ada.get_by_label("To").select_option("Everyone")
    say(ada, "for all again")
    expect_said(third, "for all", "for all again")


def test_names_and_texts_with_markup_are_shown_as_text(window: Callable[..., Page]) -> None:
    ada, other = window("<b>Ada</b>"), window()
    say(ada, MARKUP)
    say(ada, "</script><script>alert(2)</script>")
    expect_said(other, MARKUP, "</script><script>alert(2)</script>")
    expect(other.locator(".message b").first).to_have_text("<b>Ada</b>")
    expect_here(ada, "<b>Ada</b>", other.locator("#members .name").first.inner_text())
    assert other.locator("#log img, #log script, b b").count() == 0


def test_a_page_comes_back_by_itself_when_its_gateway_is_killed(demo: Demo, window: Callable[..., Page]) -> None:
    ada, guest = window("Ada"), window()
    name = guest.locator("#members .name").first.inner_text()
    say(ada, "before")
    expect_said(guest, "before")
    demo.kill("browsers")
    for page in (ada, guest):
        expect(page.locator(".note", has_text="Connected again")).to_be_visible()
        expect(page.locator("#state")).to_have_text("Connected")
    expect_here(ada, "Ada", name)
    expect_here(guest, name, "Ada")
    say(ada, "after")
    for page in (ada, guest):
        expect_said(page, "before", "after")


def test_a_room_outlives_all_of_its_workers(demo: Demo, window: Callable[..., Page]) -> None:
    ada, guest = window("Ada"), window("Guest")
    demo.restart("chat")
    say(ada, "is anybody there?")
    for page in (ada, guest):
        expect_said(page, "is anybody there?")
    guest.close()
    expect(ada.locator(".note").last).to_contain_text("Guest left")


def test_it_fits_a_phone_and_times_are_the_servers(
    browser: Browser, empty: list[Watched], window: Callable[..., Page]
) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    page.clock.set_fixed_time(datetime(2001, 1, 1, tzinfo=UTC))
    empty.append((page, watched(page)))
    page = window("Ada")
    page.evaluate("document.activeElement.blur()")
    say(page, "w" * 400)
    expect_said(page, "w" * 400)
    when = page.locator(".message time").get_attribute("datetime") or ""
    assert abs((datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()) < 60
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.getElementById('log').scrollWidth") <= 360
    expect(page.locator("#people")).to_be_hidden()
    page.get_by_role("button", name="1 people here").click()
    expect(page.locator("#members .name")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator("#people")).to_be_hidden()
    page.get_by_role("button", name="Leave").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()  # no other is so small, or of that year


def test_a_flood_leaves_the_last_lines_only(window: Callable[..., Page]) -> None:
    page = window("Ada")
    page.evaluate("for (let n = 0; n < 400; n++) say({ from_client_id: 'x', from_client_name: 'x', "
                  "to_client_id: 'all', content: `line ${n}`, time: '2026-01-01T00:00:00Z' })")  # fmt: skip
    expect(page.locator("#log > li")).to_have_count(300)
    assert said(page)[-1] == "line 399"


def test_the_browser_may_load_and_run_nothing_from_elsewhere(demo: Demo) -> None:
    for path in ("/", "/chat.js", "/chat.css", "/icon.svg"):
        with urllib.request.urlopen(demo.url + path) as response:
            policy, content = response.headers["Content-Security-Policy"], response.read().decode()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "//" not in re.sub(r"^//.*|http://www.w3.org|://\$|[ ;]//.*", "", content, flags=re.M)
        assert not re.search(r"\son\w+=|\sstyle=|innerHTML", content)


def test_the_start_says_where_to_go(demo: Demo) -> None:
    assert f"Open {demo.url} in two windows, or: telnet 127.0.0.1 {demo.tcp}" in demo.said


def test_what_nobody_has_heard_is_kept_to_be_sent_again(window: Callable[..., Page]) -> None:
    page = window("Ada")
    page.evaluate("socket.send = () => {}")
    say(page, "into the void")
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page.evaluate("lost()")
    expect(page.locator(".note", has_text="Connected again")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("into the void")
    page.keyboard.press("Enter")
    expect_said(page, "into the void")

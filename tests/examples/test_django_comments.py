"""The comments of a Django site in browsers: started by its one command, as a person does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browsers import needs_chromium, watched
from tests.examples.conftest import OpenPage
from tests.examples.django_comments import Visitor, comments_site, live, password_of
from tests.examples.support import Example
from tests.process.support import Place, until

pytestmark = needs_chromium

Enter = Callable[[Visitor], Page]


@pytest.fixture(scope="module")
def site(place: Place) -> Example:
    site = comments_site(place)
    live(site)
    return site


@pytest.fixture(scope="module")
def password(site: Example) -> str:
    return password_of(site.place.started[0].out.read_text())


@pytest.fixture(scope="module")
def kim(site: Example, password: str) -> Visitor:
    return Visitor(site.url(8000)).log_in("kim", password)


@pytest.fixture(scope="module")
def lee(site: Example, password: str) -> Visitor:
    return Visitor(site.url(8000)).log_in("lee", password)


@pytest.fixture
def enter(site: Example, open_page: OpenPage) -> Enter:
    """Open the page in another browser of somebody who is logged in there."""

    def enter(visitor: Visitor) -> Page:
        page = open_page("about:blank")
        page.context.add_cookies([{"name": name, "value": value, "url": visitor.url} for name, value in visitor])
        page.goto(visitor.url)
        is_live(page)
        return page

    return enter


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")
    is_live(page)


def is_live(page: Page) -> None:
    expect(page.locator("#state")).to_have_text("Live")


def counts(page: Page, number: int) -> None:
    expect(page.locator("#counter")).to_have_text(f"{number} new")
    expect(page).to_have_title(f"({number}) Comments" if number else "Comments")


def write(page: Page, text: str) -> None:
    page.get_by_label("Comment:").fill(text)
    page.get_by_role("button", name="Send").click()


def pid_of(site: Example, role: str) -> int:
    return next(int(row["pid"] or 0) for row in site.place.processes() if row["role"].startswith(role))


def test_every_tab_and_device_of_the_receiver_counts_a_comment(
    site: Example, password: str, open_page: OpenPage, enter: Enter, kim: Visitor, lee: Visitor
) -> None:
    tab, device, writer = open_page(site.url(8000)), enter(kim), enter(lee)
    log_in(tab, "kim", password)
    other_tab = tab.context.new_page()
    problems = watched(other_tab)
    other_tab.goto(site.url(8000))
    pages = (tab, other_tab, device)
    for page in pages:
        is_live(page)
        counts(page, 0)

    write(writer, "one <img src=x onerror=alert(1)>")
    expect(writer.get_by_text("Sent to kim.")).to_be_visible()
    write(writer, "two")
    for page in pages:
        counts(page, 2)
        texts = page.locator("#comments .text")
        expect(texts).to_have_text(["two", "one <img src=x onerror=alert(1)>"])
        expect(page.locator("#comments img")).to_have_count(0)
        expect(page.locator("#comments b").first).to_have_text("lee")
    is_live(writer)
    counts(writer, 0)
    expect(writer.locator("#comments li")).to_have_count(0)

    device.get_by_role("button", name="Seen them all").click()
    for page in pages:
        counts(page, 0)
        expect(page.locator("#comments li")).to_have_count(2)
    tab.reload()
    is_live(tab)
    counts(tab, 0)
    expect(tab.locator("#comments li")).to_have_count(2)
    assert not problems


def test_a_comment_that_is_wrong_is_refused_by_the_form(enter: Enter, kim: Visitor) -> None:
    page = enter(kim)
    page.get_by_label("Comment:").evaluate("field => { field.removeAttribute('maxlength'); field.required = false; }")
    write(page, "x" * 1001)
    expect(page.locator(".errorlist")).to_contain_text("at most 1000 characters")
    is_live(page)
    page.get_by_label("Comment:").evaluate("field => { field.required = false; }")
    write(page, "   ")
    expect(page.locator(".errorlist")).to_contain_text("required")


def test_a_guest_is_connected_and_sees_nothing(
    site: Example, open_page: OpenPage, enter: Enter, kim: Visitor, lee: Visitor
) -> None:
    guest, page = open_page(site.url(8000)), enter(kim)
    expect(guest.locator("#state")).to_have_text("Connected as a guest")
    assert lee.post("/", receiver=1, text="for kim alone")[0] == 302
    expect(page.get_by_text("for kim alone")).to_be_visible()
    expect(guest.get_by_text("for kim alone")).to_have_count(0)
    expect(guest).to_have_title("Comments")


def test_a_page_is_a_guest_once_its_session_has_logged_out_in_another_tab(
    site: Example, password: str, open_page: OpenPage, enter: Enter, kim: Visitor, lee: Visitor
) -> None:
    tab, device = open_page(site.url(8000)), enter(kim)
    log_in(tab, "kim", password)
    other_tab = tab.context.new_page()
    other_tab.goto(site.url(8000))
    is_live(other_tab)
    other_tab.get_by_role("button", name="Log out").click()
    for page in (tab, other_tab):
        expect(page.get_by_role("heading", name="Hello, guest")).to_be_visible()
        expect(page.locator("#state")).to_have_text("Connected as a guest")
    lee.post("/", receiver=1, text="for the device")
    expect(device.get_by_text("for the device")).to_be_visible()


def test_a_page_is_bound_again_and_has_what_it_missed(site: Example, enter: Enter, kim: Visitor, lee: Visitor) -> None:
    page = enter(kim)
    kim.post("/seen/", last=2**40)
    counts(page, 0)
    old = pid_of(site, "websocket")
    os.kill(old, signal.SIGKILL)
    assert lee.post("/", receiver=1, text="missed")[0] == 302
    until(lambda: pid_of(site, "websocket") not in (0, old))
    counts(page, 1)
    is_live(page)
    lee.post("/", receiver=1, text="pushed")
    counts(page, 2)
    expect(page.locator("#comments .text").first).to_have_text("pushed")
    expect(page.get_by_text("missed")).to_have_count(1)

"""The client in a browser: the docs' page, with a gateway that ends and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import launched, needs_chromium, watched
from tests.js.support import Site, Tried
from tests.process.support import Place
from tidegate import GatewayClient

pytestmark = needs_chromium


class Window:
    """A page as a test drives it."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def do(self, script: str) -> Any:
        return self._page.evaluate(script)


@pytest.fixture(scope="module")
def started(place: Place) -> Site:
    return Site(place)


@pytest.fixture
def site(started: Site) -> Site:
    started.forget()
    started.set_in_page("")
    return started


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


def test_the_docs_page_shows_what_is_pushed_to_its_uid(site: Site, page: Page) -> None:
    page.goto(site.url)
    expect(page.locator("#state")).to_have_text("connected")
    with GatewayClient(site.cluster) as gateway:
        gateway.send_to_uid("kim", "mail <b>for</b> you")
    expect(page.locator("#news li")).to_have_text(["mail <b>for</b> you"])


def test_it_is_bound_again_whenever_a_gateway_comes_back_and_sends_nothing_twice(site: Site, page: Page) -> None:
    site.set_in_page("minPause: 50,")
    page.goto(site.url)
    tried = Tried(site, Window(page))
    tried.restart(times=1)
    tried.stay_away()
    tried.nothing_went_wrong(connections=2)


def test_it_connects_at_once_when_the_browser_is_online_again(site: Site, page: Page) -> None:
    site.set_in_page("minPause: 30_000,")
    page.goto(site.url)
    expect(page.locator("#state")).to_have_text("connected")
    site.stop()
    expect(page.locator("#state")).to_have_text("again in 30 s")
    site.start()
    page.context.set_offline(True)
    page.context.set_offline(False)
    expect(page.locator("#state")).to_have_text("connected")

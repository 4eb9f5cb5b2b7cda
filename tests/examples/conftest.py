from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browsers import launched, watched
from tests.process.support import Place

OpenPage = Callable[[str], Page]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder for the copy of an example; no process of it stays, however the tests end."""
    place = Place(tmp_path_factory.mktemp("place"))
    yield place
    place.clear()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """What opens an address in a window with cookies of its own; nothing may go wrong in it."""
    pages: list[Page] = []
    problems: list[list[str]] = []

    def open_it(url: str) -> Page:
        page = browser.new_context(viewport={"width": 900, "height": 700}).new_page()
        pages.append(page)
        problems.append(watched(page))
        page.goto(url)
        return page

    yield open_it
    for page in pages:
        page.context.close()
    assert not any(problems)

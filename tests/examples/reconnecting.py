"""Pages whose connection ends, and that come back."""

from __future__ import annotations

import os
import signal

from playwright.sync_api import Page

from tests.process.support import Place, until

__all__ = ["kill_gateways", "until_back", "watch_state"]

WATCH = """() => {
  window.states = [];
  const state = document.getElementById("state");
  new MutationObserver(() => states.push(state.textContent)).observe(state, { childList: true });
}"""


def kill_gateways(place: Place, *pages: Page) -> None:
    """Kill each process of the WebSocket gateway, and wait until all pages have come back."""
    for page in pages:
        watch_state(page)
    for row in place.processes():
        if row["role"].startswith("websocket"):
            os.kill(row["pid"], signal.SIGKILL)
    for page in pages:
        until_back(page)


def watch_state(page: Page) -> None:
    """Have the page remember what it says of its connection from now on: some of it stands there only for a moment."""
    page.evaluate(WATCH)


def until_back(page: Page) -> None:
    """Wait until a page that is watched has said that it reconnects, and then that it is connected."""

    def has_come_back() -> bool:
        states: list[str] = page.evaluate("states")
        return "Reconnecting" in states and states[-1] == "Connected"

    until(has_come_back)

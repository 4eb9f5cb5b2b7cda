"""The visitors of examples/live_room in tests: those that send what they like, and those in browsers."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect
from websockets.sync.client import ClientConnection

from tests.examples.conftest import OpenPage
from tests.examples.support import Example

__all__ = ["Visitor", "enter", "expect_numbers", "expect_said", "expect_state", "name_of", "say"]


class Visitor:
    """A client that sends what it likes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        init = self.next_of("init")
        assert init["msg"] == "connect is success"
        self.client_id = init["client_id"]
        self.room = ""

    def send(self, kind: str, **fields: object) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def next_of(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; it answers no heartbeats, which are seconds away."""
        while (message := json.loads(self.socket.recv(10)))["type"] != kind:
            pass
        return dict(message)

    def join(self, room: str, **fields: object) -> dict[str, Any]:
        self.room = room
        self.send("join", roomId=room, **fields)
        return self.next_of("welcome")

    def say(self, content: str) -> None:
        self.send("say", roomId=self.room, content=content)

    def refused(self, message: str | bytes) -> str:
        """Send something that is wrong; gives what it is told."""
        self.socket.send(message)
        return str(self.next_of("error")["msg"])


def enter(open_page: OpenPage, example: Example, room: str) -> Page:
    page = open_page(f"{example.url(8000)}/?room={room}")
    expect_state(page, "Connected")
    return page


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#state")).to_have_text(state)


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def expect_said(page: Page, *texts: str) -> None:
    expect(page.locator("#log li:not(.note) .content")).to_have_text(list(texts))


def expect_numbers(page: Page, online: int, visits: int | str) -> None:
    expect(page.locator("#online")).to_have_text(str(online), timeout=20_000)
    expect(page.locator("#pv")).to_have_text(str(visits), timeout=20_000)


def name_of(page: Page) -> str:
    return page.get_by_label("You are").input_value()

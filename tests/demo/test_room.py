"""The rooms, as pages that were written by somebody else would use them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.clients import Browser
from tests.demo.support import SECONDS, Demo
from tidegate.demo.messages import MAX_TEXT
from tidegate.net import loops


class Person:
    """Someone in a room."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._early: list[dict[str, Any]] = []  # what was heard before the list of those who are here
        self.welcome: dict[str, Any] = {}
        self.id = ""

    async def enter(self, room: str, name: str = "") -> None:
        """Log in, and wait for the list of those who are here."""
        self.send(json.dumps({"type": "login", "client_name": name, "room_id": room}))
        while "client_list" not in self.welcome:
            self._early.append(await self._hear())
            self.welcome = self._early[-1]
        self._early.pop()
        self.id = self.welcome["client_id"]

    async def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await self._browser.receive() or "null")
        return heard

    def say(self, content: Any, to: Any = "all") -> None:
        self.send(json.dumps({"type": "say", "to_client_id": to, "content": content}))

    def send(self, message: str) -> None:
        self._browser.send(message)

    async def hears(self, kind: str) -> dict[str, Any]:
        """The next message, which is of this type."""
        heard = self._early.pop(0) if self._early else await self._hear()
        assert heard["type"] == kind, heard
        return heard

    async def leave(self) -> None:
        await self._browser.close()


class Company:
    """The people of a test, who have left when it is over."""

    def __init__(self, demo: Demo, room: str) -> None:
        self.demo = demo
        self.room = room
        self._people: list[Person] = []

    async def come(self) -> Person:
        """Connect someone who does not say who it is."""
        person = Person(await Browser.connect(self.demo.websocket))
        self._people.append(person)
        return person

    async def enter(self, name: str = "", room: str | None = None) -> Person:
        """Bring someone into a room."""
        person = await self.come()
        await person.enter(room or self.room, name)
        return person

    async def leave(self) -> None:
        for person in self._people:
            await person.leave()


Run = Callable[[Callable[[Company], Awaitable[None]]], None]


@pytest.fixture
def run(demo: Demo, room: str) -> Run:
    """What carries out a test in the room."""

    async def limited(test: Callable[[Company], Awaitable[None]]) -> None:
        company = Company(demo, room)
        try:
            async with asyncio.timeout(SECONDS):
                await test(company)
        finally:
            await company.leave()

    return lambda test: loops.run(limited(test))


def test_who_comes_learns_who_is_here_and_the_others_of_them(run: Run) -> None:
    async def test(company: Company) -> None:
        ada = await company.enter("Ada")
        assert ada.welcome["client_list"] == {ada.id: "Ada"}
        guest = await company.enter()
        name = guest.welcome["client_name"]
        assert name
        assert guest.welcome["client_list"] == {ada.id: "Ada", guest.id: name}
        came = await ada.hears("login")
        assert (came["client_id"], came["client_name"]) == (guest.id, name)
        await guest.leave()
        assert (await ada.hears("logout"))["from_client_id"] == guest.id

    run(test)


def test_of_many_who_come_at_once_each_learns_of_each(run: Run) -> None:
    async def test(company: Company) -> None:
        people = await asyncio.gather(*(company.enter() for _ in range(20)))
        for person in people:
            known = set(person.welcome["client_list"])
            while len(known) < len(people):
                known.add((await person.hears("login"))["client_id"])
            assert known == {other.id for other in people}

    run(test)


def test_a_private_message_reaches_one_person_and_who_sent_it(run: Run) -> None:
    async def test(company: Company) -> None:
        ada, grace, third = [await company.enter(name) for name in ("Ada", "Grace", "Third")]
        for person, others in ((ada, 2), (grace, 1)):
            for _ in range(others):
                await person.hears("login")
        ada.say("secret", to=grace.id)
        ada.say("public")
        for person in (ada, grace):
            heard = await person.hears("say")
            assert (heard["content"], heard["to_client_id"], heard["to_client_name"]) == ("secret", grace.id, "Grace")
        for person in (ada, grace, third):
            assert (await person.hears("say"))["content"] == "public"

    run(test)


def test_nobody_is_reached_from_another_room(run: Run) -> None:
    async def test(company: Company) -> None:
        ada, stranger = await company.enter("Ada"), await company.enter("Stranger", f"not {company.room}"[:32])
        stranger.say("hi", to=ada.id)
        assert (await stranger.hears("error"))["client_id"] == ada.id
        nobody = f"{ada.id[:12]}00000000"[:19] + "1"
        stranger.say("hi", to=nobody)
        assert (await stranger.hears("error"))["client_id"] == nobody
        stranger.say("is anybody here")
        assert (await stranger.hears("say"))["content"] == "is anybody here"
        ada.say("nobody else")
        assert (await ada.hears("say"))["content"] == "nobody else"

    run(test)


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[1]",
        "{}",
        '{"type": "shutdown"}',
        '{"type": ["say"]}',
        '{"type": "say"}',
        '{"type": "say", "content": ""}',
        '{"type": "say", "content": {"a": 1}}',
        '{"type": "say", "content": "x", "to_client_id": {"a": 1}}',
        '{"type": "say", "content": "x", "to_client_id": "\\ud800"}',
        '{"type": "login", "client_name": "again", "room_id": "other"}',
        json.dumps({"type": "say", "content": "x" * (MAX_TEXT + 1)}),
    ],
)
def test_what_makes_no_sense_is_answered_and_nobody_else_hears_of_it(run: Run, message: str) -> None:
    async def test(company: Company) -> None:
        ada, grace = await company.enter(), await company.enter()
        await ada.hears("login")
        ada.send(message)
        assert (await ada.hears("error"))["message"]
        ada.say("x" * MAX_TEXT)
        assert len((await grace.hears("say"))["content"]) == MAX_TEXT

    run(test)


def test_nobody_talks_before_they_are_in_a_room(run: Run) -> None:
    async def test(company: Company) -> None:
        person = await company.come()
        person.say("hi")
        assert "room" in (await person.hears("error"))["message"]
        person.send('{"type": "login", "client_name": 7}')
        assert "name" in (await person.hears("error"))["message"]
        person.send('{"type": "ping"}')
        await person.hears("pong")

    run(test)


def test_those_at_the_door_for_telnet_are_in_no_room_of_that_name(run: Run) -> None:
    async def test(company: Company) -> None:
        person = await company.enter(room="telnet")
        reader, writer = await asyncio.open_connection("127.0.0.1", company.demo.tcp)
        client_id = (await reader.readline()).split()[1].decode().rstrip(".")
        person.say("hello", to=client_id)
        assert (await person.hears("error"))["client_id"] == client_id
        writer.write(b"hello\r\n")
        assert await reader.readline() == f"{client_id} says: hello\r\n".encode()
        person.say("alone")
        assert (await person.hears("say"))["content"] == "alone"
        writer.close()
        await writer.wait_closed()

    run(test)

"""The live room: in browsers, by clients that send what they like, and while Redis or a gateway goes and comes back."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from websockets.sync.client import connect

from tests.browsers import needs_chromium
from tests.examples.conftest import OpenPage
from tests.examples.live_room import Visitor, enter, expect_numbers, expect_said, expect_state, name_of, say
from tests.examples.redis_server import RedisServer, needs_redis
from tests.examples.support import Example
from tests.process.support import Place, until

pytestmark = needs_redis

MARKUP = "<img src=x onerror=alert(1)>"
GUEST = re.compile(r"Guest \d{4}")
TIME = "%Y-%m-%d %H:%M:%S"
OFF = "counting is off"

# Writes and presses Send at the moment at which the connection is lost, and sets the title then.
WRITE_WHEN_LOST = """() => {
    const [state, text] = ["state", "text"].map((id) => document.getElementById(id));
    const lost = new MutationObserver(() => {
        if (state.dataset.state === "open") return;
        lost.disconnect();
        text.value = "written meanwhile";
        document.querySelector("#composer button").click();
        document.title = "lost";
    });
    lost.observe(state, { attributes: true });
}"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def example(place: Place, redis: RedisServer) -> Example:
    place.environment["REDIS_URL"] = redis.url
    example = Example(place, "live_room", {8000: 1, 7272: 1, 1236: 1, 2900: 2})
    example.set(TELL_SECONDS=0.2, LOOK_SECONDS=0.2)
    example.start().ready()
    return example


@pytest.fixture
def room() -> str:
    """One that no other test is in."""
    return secrets.token_hex(4)


@pytest.fixture
def visit(example: Example) -> Iterator[Callable[[], Visitor]]:
    with contextlib.ExitStack() as stack:

        def visit_it() -> Visitor:
            return Visitor(stack.enter_context(connect(example.url(7272, "ws"), proxy=None, max_queue=None)))

        yield visit_it


@pytest.fixture
def visitor(visit: Callable[[], Visitor]) -> Visitor:
    return visit()


# In browsers


@needs_chromium
def test_people_meet_and_talk_and_who_comes_later_sees_it(example: Example, open_page: OpenPage, room: str) -> None:
    ada = enter(open_page, example, room)
    expect_numbers(ada, 1, 1)
    grace = enter(open_page, example, room)
    assert GUEST.fullmatch(name_of(grace))
    expect(ada.locator("#log .note").last).to_contain_text(f"{name_of(grace)} enters the Room")
    say(ada, "hello")
    expect_said(grace, "hello")
    say(grace, "👨‍👩‍👧 hi")
    third = enter(open_page, example, room)
    for page in (ada, grace, third):
        expect_said(page, "hello", "👨‍👩‍👧 hi")
        expect_numbers(page, 3, 3)
        expect(page.locator("#counting")).to_be_hidden()
    expect(ada.locator("#log .mine")).to_have_count(1)
    expect(third.locator("#log .mine")).to_have_count(0)
    said = datetime.strptime(str(third.locator("#log time").first.get_attribute("title")), TIME)
    assert timedelta(seconds=-1) < datetime.now() - said < timedelta(minutes=1)
    third.close()
    expect_numbers(ada, 2, 3)
    other = enter(open_page, example, room + "x")
    expect_said(other)
    expect_numbers(other, 1, 1)


@needs_chromium
def test_names_and_texts_with_markup_are_shown_as_text(example: Example, open_page: OpenPage, room: str) -> None:
    page, other = enter(open_page, example, room), enter(open_page, example, room)
    page.get_by_label("You are").fill(MARKUP)
    page.keyboard.press("Enter")
    expect(other.locator("#log .note").last).to_contain_text(f"{MARKUP[:24]} enters the Room")
    expect_state(page, "Connected")
    say(page, MARKUP)
    for each in (page, other):
        expect_said(each, MARKUP)
        expect(each.locator("#log li b").last).to_have_text(MARKUP[:24])
        expect_numbers(each, 2, 2)  # another name is not another visit
        assert each.locator("img").count() == 0
    page.reload()
    expect(page.get_by_label("You are")).to_have_value(MARKUP[:24])


@needs_chromium
def test_a_page_says_which_room_there_can_not_be(example: Example, open_page: OpenPage) -> None:
    page = open_page(f"{example.url(8000)}/?room=a%20%3Cb%3E")
    expect(page.get_by_role("alert")).to_have_text("A room's id has 1 to 32 letters, digits, hyphens and underscores.")
    expect_state(page, "Not in a room")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()


@needs_chromium
def test_everything_is_within_a_phones_width(example: Example, open_page: OpenPage, room: str) -> None:
    page = open_page("about:blank")
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(f"{example.url(8000)}/?room={room}")
    expect_state(page, "Connected")
    say(page, "x" * 300)
    expect_said(page, "x" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for part in ("Send", "You are", "Message"):
        box = page.get_by_label(part).or_(page.get_by_role("button", name=part)).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        assert box["y"] + box["height"] <= 640


@needs_chromium
def test_after_the_gateways_died_pages_are_back_with_what_they_missed(
    example: Example, redis: RedisServer, open_page: OpenPage, room: str
) -> None:
    pages = [enter(open_page, example, room) for _ in range(2)]
    say(pages[0], "before")
    for page in pages:
        expect_said(page, "before")
    missed = {"id": "1", "roomId": room, "userId": "1", "userName": "Kim", "content": "missed"}
    redis.do(
        "LPUSH", f"MESSAGES:ROOM:{room}", json.dumps({"type": "say", **missed, "commentTime": "2026-01-01 10:00:00"})
    )
    for page in pages:
        page.evaluate(WRITE_WHEN_LOST)
    for row in example.place.processes():
        if row["role"].startswith("websocket"):
            os.kill(row["pid"], signal.SIGKILL)
    for page in pages:
        expect(page).to_have_title("lost", timeout=20_000)
        expect(page.locator("#state")).to_have_text("Connected", timeout=20_000)
        expect(page.get_by_label("Message", exact=True)).to_have_value("written meanwhile")
    pages[0].get_by_label("Message", exact=True).press("Enter")
    for page in pages:
        expect_said(page, "before", "missed", "written meanwhile")
        expect_numbers(page, 2, 2)


@needs_chromium
def test_without_redis_people_talk_and_are_told_that_nothing_is_counted(
    example: Example, redis: RedisServer, open_page: OpenPage, visit: Callable[[], Visitor], room: str
) -> None:
    (app,) = example.place.started
    before = app.err.read_text().count(OFF)
    page = enter(open_page, example, room)
    say(page, "kept")
    expect_numbers(page, 1, 1)
    redis.stop()
    try:
        expect(page.get_by_text("Counting is off")).to_be_visible(timeout=20_000)
        other = enter(open_page, example, room)
        expect(other.get_by_text("Counting is off")).to_be_visible()
        for each in (page, other):
            say(each, "we talk all the same")
        expect_said(other, *["we talk all the same"] * 2)
        expect_said(page, "kept", *["we talk all the same"] * 2)
        expect_numbers(page, 2, "–")
        assert app.err.read_text().count(OFF) == before + 1
    finally:
        redis.start()
    expect(page.get_by_text("Counting is off")).to_be_hidden(timeout=20_000)
    until(lambda: all(visit().join(room)["pv"] is not None for _ in range(4)))  # each worker process looks by itself
    expect(page.locator("#pv")).to_have_text(redis.do("HGET", f"PV:ROOM:{room}", "ROOM_TOTAL_PV"))
    assert app.err.read_text().count(OFF) == before + 1


# By clients


def test_messages_have_the_fields_of_the_original(visitor: Visitor, visit: Callable[[], Visitor], room: str) -> None:
    listener = visit()
    listener.join(room)
    welcome = visitor.join(room, userName=" Kim\n\u202e\ud800 Lee ", userId="somebody")
    assert welcome["userName"] == "Kim Lee"
    assert welcome["userId"] != "somebody"
    assert (welcome["pv"], welcome["online"], welcome["history"]) == (2, 2, [])
    user = {"roomId": room, "userName": "Kim Lee"}
    listener.next_of("join")  # its own
    joined = listener.next_of("join")
    datetime.strptime(joined.pop("joinTime"), TIME)
    assert joined == {"type": "join", **user, "msg": "enters the Room", "pv": 2}
    visitor.send("say", roomId=room, content=" hello\r\n\x07 all ", userName="somebody else", commentTime="never")
    said = listener.next_of("say")
    assert said == visitor.next_of("say")
    datetime.strptime(said.pop("commentTime"), TIME)
    assert re.fullmatch("[0-9a-f]{16}", said.pop("id"))
    assert said == {"type": "say", **user, "userId": welcome["userId"], "content": "hello all"}


def test_the_last_50_messages_are_kept(visitor: Visitor, visit: Callable[[], Visitor], redis: RedisServer) -> None:
    visitor.join("many")
    for number in range(60):
        visitor.say(str(number))
    while visitor.next_of("say")["content"] != "59":
        pass
    history = visit().join("many")["history"]
    assert [message["content"] for message in history] == [str(number) for number in range(10, 60)]
    assert redis.do("LLEN", "MESSAGES:ROOM:many") == 50
    assert redis.do("TTL", "MESSAGES:ROOM:many") > 0


def test_nothing_said_while_somebody_enters_is_missed_and_what_comes_twice_has_one_id(
    visitor: Visitor, visit: Callable[[], Visitor], room: str
) -> None:
    visitor.join(room)
    entering = [visit() for _ in range(12)]
    half, count = threading.Event(), 120

    def speak() -> None:
        for number in range(count):
            visitor.say(str(number))
            visitor.next_of("say")
            if number == 20:
                half.set()

    speaker = threading.Thread(target=speak)
    speaker.start()
    half.wait(20)
    for each in entering:
        each.send("join", roomId=room)
    for each in entering:
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["content"] != str(count - 1):
            message = json.loads(each.socket.recv(10))
            heard += {"say": [message]}.get(message["type"], message.get("history", []))
        numbers = {int(message["content"]) for message in heard}
        assert numbers == set(range(min(numbers), count))
        assert min(numbers) <= 21
        assert len({message["id"] for message in heard}) == len(numbers)
    speaker.join()


def test_every_process_serves(example: Example, visitor: Visitor, visit: Callable[[], Visitor], room: str) -> None:
    visitors = [visitor]
    while len({each.client_id[8:12] for each in visitors}) < 2 or len(visitors) < 8:
        assert len(visitors) < 60
        visitors.append(visit())
    for each in visitors:
        each.join(room)
    visitor.say("to all of you")
    for each in visitors:
        assert each.next_of("say")["content"] == "to all of you"
    rows = [row for row in example.place.processes() if row["role"].startswith("business")]
    assert len(rows) == 2
    assert all(row["messages_in"] for row in rows), rows


def test_a_client_that_is_in_no_room_says_nothing(visitor: Visitor, visit: Callable[[], Visitor], room: str) -> None:
    listener = visit()
    listener.join(room)
    assert visitor.refused(json.dumps({"type": "say", "roomId": room, "content": "x"})) == "Join a room first."
    visitor.join(room + "x")
    for other in (room, "x"):
        error = visitor.refused(json.dumps({"type": "say", "roomId": other, "content": "x"}))
        assert error == "That is not the room you are in."
    assert visitor.refused(json.dumps({"type": "join", "roomId": room})) == "You are in a room already."
    listener.say("the first that is heard")
    assert listener.next_of("say")["content"] == "the first that is heard"


@pytest.mark.parametrize("room", ["", "x" * 33, "a b", "a:b", "*", "ü", "1\n", 1.5, True, None, ["1"], {"1": 1}])
def test_a_room_has_an_id_that_can_be_one(visitor: Visitor, room: object) -> None:
    assert visitor.refused(json.dumps({"type": "join", "roomId": room})).startswith("A room's id has ")
    visitor.send("join", roomId=7)  # PHP's may be a number
    assert visitor.next_of("welcome")["roomId"] == "7"
    visitor.send("say", roomId=7, content="x")
    assert visitor.next_of("say")["roomId"] == "7"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("x", "A message is a JSON object."),
        (b"\xff\x00", "A message is a JSON object."),
        ("[" * 9000, "A message is a JSON object."),
        ("[]", "A message is a JSON object."),
        ("{}", "There is no message of that type."),
        ('{"type": ["say"]}', "There is no message of that type."),
        ('{"type": "say", "roomId": "7"}', "A message is text."),
        ('{"type": "say", "roomId": "7", "content": 7}', "A message is text."),
        ('{"type": "say", "roomId": "7", "content": " \\u200d\\u202e\\ud800\\n"}', "There is nothing in that message."),
        (json.dumps({"type": "say", "roomId": "7", "content": "x" * 301}), "A message has at most 300 characters."),
        ('{"type": "say", "content": "x"}', "A room's id has 1 to 32 letters, digits, hyphens and underscores."),
    ],
)
def test_what_is_no_message_is_refused(visitor: Visitor, message: str | bytes, error: str) -> None:
    visitor.join("7")
    assert visitor.refused(message) == error
    visitor.say("x" * 300)
    assert visitor.next_of("say")["content"] == "x" * 300


@pytest.mark.parametrize("name", ["x" * 25, 7, None])
def test_a_name_is_a_short_text(visitor: Visitor, name: object) -> None:
    assert visitor.refused(json.dumps({"type": "join", "roomId": "7", "userName": name})).startswith("A name ")
    assert GUEST.fullmatch(visitor.join("7", userName=" \u200b")["userName"])

"""What the demo makes of what people type."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.demo import demo, door
from tidegate.demo.messages import (
    MAX_NAME,
    MAX_TEXT,
    BadMessageError,
    clean_line,
    clean_text,
    now,
    pack,
    random_name,
    read,
)
from tidegate.errors import ConfigurationError

ANY_TEXT = st.text(st.characters(), max_size=60)  # halves of characters among them


@given(ANY_TEXT)
def test_a_name_is_one_line_of_what_can_be_seen_and_sent(text: str) -> None:
    try:
        name = clean_line(text, "name", MAX_NAME)
    except BadMessageError:
        return
    assert name == name.strip()
    assert name.isprintable()
    assert len(name) <= MAX_NAME
    assert json.loads(pack("say", name=name).encode())["name"] == name


@given(ANY_TEXT)
def test_what_is_said_has_no_controls_but_its_line_ends(text: str) -> None:
    try:
        said = clean_text(text)
    except BadMessageError:
        return
    assert said.encode()
    assert not any(char < " " and char != "\n" for char in said)


def test_a_name_does_not_turn_around_what_follows() -> None:
    assert clean_line("  \u202eevil\u200b \t name\r\n", "name", MAX_NAME) == "evil name"


@pytest.mark.parametrize("value", [None, 7, [], {}, "x" * (MAX_NAME + 1)])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(BadMessageError):
        clean_line(value, "name", MAX_NAME)


@pytest.mark.parametrize("value", [None, 7, "", " \n\t\x00", "x" * (MAX_TEXT + 1)])
def test_what_is_nothing_to_say_is_refused(value: object) -> None:
    with pytest.raises(BadMessageError):
        clean_text(value)


@pytest.mark.parametrize("message", ["", "{", "[]", "7", '"text"', "[" * 100_000, "9" * 5000, b"{}"])
def test_garbage_is_refused(message: str | bytes) -> None:
    with pytest.raises(BadMessageError):
        read(message)


def test_the_time_is_the_servers_in_utc() -> None:
    assert abs(datetime.fromisoformat(now()) - datetime.now(UTC)).total_seconds() < 5


def test_a_guest_gets_a_name_that_fits() -> None:
    assert all(1 < len(random_name()) <= MAX_NAME for _ in range(100))


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        ("hello\r\n", "hello"),
        ("  indented\r\nand more\r\n\r\n", "  indented\nand more"),
        ("\x1b[2J\x07\r\n", "[2J"),
        (b"caf\xe9\r\n", "caf\ufffd"),
        (b"\xff\xf4\xff\xfd\x06", ""),  # Ctrl-C in telnet
        ("\r\n", ""),
    ],
)
def test_what_is_typed_in_a_terminal_plays_no_tricks_on_another(typed: str | bytes, heard: str) -> None:
    assert door.read(typed) == heard


@pytest.mark.parametrize("option", [{"listen": "text://127.0.0.1:1"}, {"listen": "websocket://127.0.0.1:0"},
                                    {"tcp": "text://127.0.0.1:1"}, {"tcp": "tcp://127.0.0.1:0"}])  # fmt: skip
def test_addresses_that_cannot_be_meant_are_refused(option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(ConfigurationError, match=f"--{name} takes a .* address with a port"):
        demo(**option)

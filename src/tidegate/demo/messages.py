"""What the demo's page and its workers say to each other: JSON objects of the types that GatewayWorker's chat has.

page → worker   login   client_name (empty: a random one), room_id
                say     to_client_id ("all", or one client's), content
                ping
worker → page   login   client_id, client_name, room_id, time; to who logs in also client_list {client_id: name},
                        and has_more where that is not everybody
                say     from_client_id, from_client_name, to_client_id, content, time; of a private one also
                        to_client_name
                logout  from_client_id, from_client_name, time
                error   message; also client_id where that client is not there
                pong
"""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from typing import Any

__all__ = [
    "MAX_NAME",
    "MAX_ROOM",
    "MAX_TEXT",
    "BadMessageError",
    "clean_line",
    "clean_text",
    "now",
    "pack",
    "random_name",
    "read",
    "without_controls",
]

MAX_NAME = 24
MAX_ROOM = 32
MAX_TEXT = 4000
"""Characters."""

ADJECTIVES = (
    "Amber", "Bold", "Brisk", "Calm", "Clever", "Coral", "Dapper", "Eager", "Gentle", "Golden",
    "Happy", "Jolly", "Lively", "Lucky", "Merry", "Nimble", "Quiet", "Silver", "Sunny", "Swift",
)  # fmt: skip
ANIMALS = (
    "Crane", "Curlew", "Dolphin", "Egret", "Gannet", "Gull", "Heron", "Kestrel", "Lobster", "Marlin",
    "Otter", "Pelican", "Petrel", "Plover", "Puffin", "Seal", "Tern", "Turtle", "Walrus", "Whale",
)  # fmt: skip

CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""All but the line feed; in a terminal they do things."""


class BadMessageError(ValueError):
    """What a page sent can't be carried out; the text is for the person at it."""


def read(message: str | bytes) -> dict[str, Any]:
    """Read what a page sent.

    Raises:
        BadMessageError: it is no JSON object.
    """
    try:
        fields = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BadMessageError("That was not a message of this chat: a JSON object is expected.")
    return fields


def pack(kind: str, **fields: Any) -> str:
    """Write what a page is to be sent."""
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def now() -> str:
    """The server's time, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def random_name() -> str:
    """A name for a guest."""
    return f"{random.choice(ADJECTIVES)} {random.choice(ANIMALS)}"  # noqa: S311 - no secret


def clean_line(value: Any, what: str, limit: int) -> str:
    """Make one line of a name: without what is not seen, or turns what follows around.

    Raises:
        BadMessageError: it is no text, or too long.
    """
    if not isinstance(value, str):
        raise BadMessageError(f"A {what} is text.")
    line = " ".join("".join(char if char.isprintable() else " " for char in value).split())
    if len(line) > limit:
        raise BadMessageError(f"A {what} has at most {limit} characters.")
    return line


def clean_text(value: Any) -> str:
    """What is said, without control characters but its line ends.

    Raises:
        BadMessageError: it is no text, empty or too long.
    """
    if not isinstance(value, str):
        raise BadMessageError("What is said is text.")
    text = without_controls(value).strip()
    if not text:
        raise BadMessageError("There is nothing in that message.")
    if len(text) > MAX_TEXT:
        raise BadMessageError(f"A message has at most {MAX_TEXT} characters.")
    return text


def without_controls(text: str) -> str:
    """Text whose lines end in a line feed, without other control characters and without halves of characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    return CONTROLS.sub("", lines)
